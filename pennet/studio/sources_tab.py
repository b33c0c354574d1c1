"""The tab that says, level by level, where a clicked point of a hole was copied from."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gradio as gr

from pennet.studio.copies import drawn_copies
from pennet.studio.limits import Limits
from pennet.studio.messages import told
from pennet.studio.models import Models
from pennet.studio.uploads import Job, read_upload, shaded, shown

MOST_LEVELS = 8
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
            picture = gr.Image(
                label="Click on the hole", interactive=False, buttons=[], format="png", elem_id="sources-picture"
            )
        with gr.Column(scale=7, min_width=320), gr.Row():
            levels = [_level() for _ in range(MOST_LEVELS)]

    def explain(asked: Job, name: str, event: gr.SelectData) -> list[Any]:
        with told():
            pixels = read_upload(asked.photo, limits).pixels
            height, width = asked.mask.shape
            scale = max(height, width) / max(shown(pixels).shape[:2])
            column, line = (int((place + 0.5) * scale) for place in event.index)
            point = min(line, height - 1), min(column, width - 1)
            drawn: list[tuple[Any, str]] = [*drawn_copies(models.inpainter(name), pixels, asked.mask, point)]
        drawn += [(None, "")] * (MOST_LEVELS - len(drawn))
        return [update for figure, words in drawn for update in (gr.Column(visible=figure is not None), figure, words)]

    picture.select(
        explain, [job, model], [part for level in levels for part in level], concurrency_limit=1, api_visibility="private"
    )

    def show(asked: Job | None) -> list[Any]:
        if asked is None:
            return [NOTHING_YET, gr.Row(visible=False), None]
        with told():
            return [HINT, gr.Row(visible=True), shaded(read_upload(asked.photo, limits).pixels, asked.mask)]

    return [words, row, picture], show


def _level() -> tuple[gr.Column, gr.Image, gr.Markdown]:
    """Where one level is shown, once it is known how many there are."""
    with gr.Column(visible=False, min_width=300, elem_classes="level") as column:
        figure = gr.Image(show_label=False, interactive=False, format="png", buttons=["fullscreen"])
        words = gr.Markdown()
    return column, figure, words
