"""The tab with the table and the pictures of a comparison that was made before."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr

TABLE_FILE = "comparison.md"


def comparison_tab(folder: Path | None) -> tuple[list[gr.Component], Any]:
    """Builds the tab.

    Args:
        folder: with `comparison.md` and pictures, PNG, such as reports/terrain/comparison; None if there is none.

    Returns:
        What it shows, and the function that reads it anew: a comparison may be made while the page is open.
    """
    table = gr.Markdown(elem_id="comparison", elem_classes="wide")
    pictures = gr.Gallery(
        label="Pictures", columns=1, object_fit="contain", height="auto", visible=False, elem_id="comparison-pictures"
    )

    def read() -> list[Any]:
        if folder is None:
            return ["There is no comparison here. Start the page with --comparison FOLDER.", gr.Gallery(visible=False)]
        try:
            text = (folder / TABLE_FILE).read_text()
        except OSError as error:
            words = f"`{folder / TABLE_FILE}` cannot be read ({error.strerror}): make the comparison, or give its folder"
            return [f"{words} with --comparison.", gr.Gallery(visible=False)]
        found = [(path, path.stem.replace("_", " ")) for path in sorted(folder.glob("*.png"))]
        return [text, gr.Gallery(found, visible=bool(found))]

    return [table, pictures], read


def found_in_checkout() -> Path | None:
    """The first comparison under reports/, as the pipeline writes them."""
    return next((path.parent for path in sorted(Path("reports").glob(f"*/comparison/{TABLE_FILE}"))), None)
