"""The tab with the table and the pictures of a comparison that was made before."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr

TABLE_FILE = "comparison.md"
MOST_PICTURES = 8


def comparison_tab(folder: Path | None) -> tuple[list[gr.Component], Any]:
    """Builds the tab.

    Args:
        folder: with `comparison.md` and pictures, PNG, such as reports/terrain/comparison; None if there is none.

    Returns:
        What it shows, and the function that reads it anew: a comparison may be made while the page is open.
    """
    table = gr.Markdown(elem_id="comparison", elem_classes="wide")
    pictures = [gr.Image(visible=False, buttons=["fullscreen"], elem_classes="compared") for _ in range(MOST_PICTURES)]

    def read() -> list[Any]:
        words, found = _words(folder), sorted(folder.glob("*.png"))[:MOST_PICTURES] if folder else []
        shown = [gr.Image(str(path), label=path.stem.replace("_", " "), visible=True) for path in found]
        return [words, *shown, *([gr.Image(visible=False)] * (MOST_PICTURES - len(shown)))]

    return [table, *pictures], read


def _words(folder: Path | None) -> str:
    """The table, or what to do to have one."""
    if folder is None:
        return "There is no comparison here. Start the page with --comparison FOLDER."
    try:
        return (folder / TABLE_FILE).read_text()
    except OSError as error:
        words = f"`{folder / TABLE_FILE}` cannot be read ({error.strerror}): make the comparison, or give its folder"
        return f"{words} with --comparison."


def found_in_checkout() -> Path | None:
    """The first comparison under reports/, as the pipeline writes them."""
    return next((path.parent for path in sorted(Path("reports").glob(f"*/comparison/{TABLE_FILE}"))), None)
