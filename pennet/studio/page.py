"""The page: its tabs, its looks, and what it never does."""

from __future__ import annotations

from pathlib import Path

import gradio as gr

from pennet.studio.comparison_tab import comparison_tab
from pennet.studio.fill_tab import fill_tab
from pennet.studio.limits import Limits
from pennet.studio.models import Models
from pennet.studio.sources_tab import sources_tab

TITLE = "PEN-Net Studio"
CSS = """
.gradio-container { width: 100% !important; max-width: 1320px !important; margin: 0 auto !important; }
.wide table { display: block; width: max-content; max-width: 100%; overflow-x: auto; border: 0 !important; }
.wide td, .wide th { white-space: nowrap; font-size: 0.85em; }
.level { max-width: 480px; }
@media (min-width: 900px) {
  #work { display: grid; grid-template: "photo hole" auto "models hole" 1fr / minmax(300px, 2fr) 5fr; align-items: start; }
  #photo-part { grid-area: photo; }
  #hole-part { grid-area: hole; }
  #models-part { grid-area: models; }
}
"""
FONT = ("Segoe UI", "Roboto", "Helvetica Neue", "Arial", "sans-serif")
"""What visitors have: Gradio's own themes fetch theirs from elsewhere."""
MAX_WAITING = 40
"""Requests in the queue; whoever comes later is told that the page is busy."""
SWEEPS_PER_AGE = 6


def build_page(models: Models, limits: Limits, comparison: Path | None) -> gr.Blocks:
    """Builds the page; nothing in it calls anybody.

    Args:
        models: on offer.
        limits: of what is uploaded.
        comparison: folder of a comparison, or None.
    """
    age = max(1, round(60 * limits.keep_minutes))
    with gr.Blocks(title=TITLE, analytics_enabled=False, delete_cache=(max(1, age // SWEEPS_PER_AGE), age)) as page:
        gr.Markdown(f"# {TITLE}\nFills holes in photos. Nothing leaves this server, and nothing stays on it.")
        with gr.Tab("Fill"):
            job = fill_tab(models, limits)
        with gr.Tab("Sources") as sources:
            parts, show = sources_tab(models, limits, job)
        sources.select(show, job, parts, show_progress="hidden", api_visibility="private")
        with gr.Tab("Comparison") as compared:
            tables, read = comparison_tab(comparison)
        compared.select(read, None, tables, show_progress="hidden", api_visibility="private")
    return page.queue(max_size=MAX_WAITING, api_open=False)


def theme() -> gr.themes.Base:
    """Quiet colours and the visitor's own fonts."""
    return gr.themes.Soft(primary_hue="indigo", font=FONT, font_mono=("ui-monospace", "monospace"))
