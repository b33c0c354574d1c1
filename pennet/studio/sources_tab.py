"""The tab that says, level by level, where a clicked point of a hole was copied from."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gradio as gr
import numpy as np
from PIL import Image

from pennet.studio.copies import drawn_copies
from pennet.studio.limits import Limits
from pennet.studio.messages import told
from pennet.studio.models import Models
from pennet.studio.uploads import Job, read_upload, shown

MOST_LEVELS = 8
PAINTED = np.array([240, 80, 140])
HINT = "Click on a point of the hole. Pink: what is filled; yellow: where that level takes it from."
NOTHING_YET = "Nothing was filled yet: fill a hole in the first tab, then come back."


def sources_tab(models: Models, limits: Limits, job: gr.State) -> tuple[list[gr.Component], Callable[..., Any]]:
    """Builds the tab.

    Returns:
        What shows a job, and the function of the job that shows it: for when the tab is opened.
    """
    words = gr.Markdown(NOTHING_YET, elem_id="sources-words")
    with gr.Row(visible=False) as row:
        with gr.Column(scale=4, min_width=320):
            model = gr.Radio(models.learned_names, value=models.learned_names[0], label="Model", elem_id="sources-model")
            picture = gr.Image(label="Click on the hole", interactive=False, buttons=[], format="png", elem_id="sources-picture")
        with gr.Column(scale=7, min_width=320):
            with gr.Row():
                levels = [
                    gr.Image(visible=False, min_width=300, format="png", buttons=["fullscreen"], elem_classes="level")
                    for _ in range(MOST_LEVELS)
                ]

    def explain(asked: Job, name: str, event: gr.SelectData) -> list[gr.Image]:
        with told():
            pixels = read_upload(asked.photo, limits).pixels
            height, width = asked.mask.shape
            scale = max(height, width) / max(shown(pixels).shape[:2])
            column, line = (int((place + 0.5) * scale) for place in event.index)
            point = min(line, height - 1), min(column, width - 1)
            drawn = drawn_copies(models.inpainter(name), pixels, asked.mask, point)
        shown_levels = [gr.Image(picture, label=words, visible=True) for picture, words in drawn]
        return shown_levels + [gr.Image(visible=False)] * (MOST_LEVELS - len(shown_levels))

    picture.select(explain, [job, model], levels, concurrency_limit=1, api_visibility="private")

    def show(asked: Job | None) -> list[Any]:
        if asked is None:
            return [NOTHING_YET, gr.Row(visible=False), None]
        with told():
            return [HINT, gr.Row(visible=True), _with_hole(read_upload(asked.photo, limits).pixels, asked)]

    return [words, row, picture], show


def _with_hole(pixels: Any, asked: Job) -> Any:
    """The photo with its hole shaded."""
    picture = shown(pixels)
    hole = np.array(Image.fromarray(asked.mask * np.uint8(255)).resize(picture.shape[1::-1], Image.Resampling.NEAREST)) > 0
    return np.where(hole[..., None], (picture * 0.4 + PAINTED * 0.6).astype(np.uint8), picture)
