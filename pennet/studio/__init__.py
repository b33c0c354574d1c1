"""The web page: fill holes of photos, compare methods, see where copies come from. Needs the extra `studio` (Gradio)."""
