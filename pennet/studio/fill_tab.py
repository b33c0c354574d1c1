"""The tab that fills holes: photo, hole, models, and each model's result beside the others."""

from __future__ import annotations

import html
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np

from pennet.errors import UserError
from pennet.photos.photo import Photo, opaque_in
from pennet.photos.reading import FORMAT_OF_SUFFIX
from pennet.photos.writing import write_photo
from pennet.studio.kept_files import new_folder
from pennet.studio.limits import Limits
from pennet.studio.messages import told
from pennet.studio.models import Models
from pennet.studio.uploads import SHADE, Job, as_layer, read_job, read_mask, read_upload, shown

EXAMPLES = [Path(__file__).parents[1] / "examples" / f"{name}.jpg" for name in ("coffee", "canyon", "rocket")]
PAINT = "#{:02x}{:02x}{:02x}".format(*SHADE)
FILE_TYPES = ["image", ".tif", ".tiff", ".avif", ".heic", ".jfif"]
HINT = "Paint over what is to be filled, or upload a mask."
FORGOTTEN_AFTER_SECONDS = 3600
"""Of what a visitor asked for, once the page was closed."""


def fill_tab(models: Models, limits: Limits) -> gr.State:
    """Builds the tab.

    Returns:
        What the visitor asked for last: a `Job`, or None.
    """
    job = gr.State(None, time_to_live=FORGOTTEN_AFTER_SECONDS)
    with gr.Row(elem_id="work"):  # page.CSS says where its columns stand; on a phone they follow each other
        with gr.Column(elem_id="photo-part"):
            photo = gr.File(label="1  Photo", file_types=FILE_TYPES, height=140, elem_id="photo")
            examples = _examples()
        with gr.Column(elem_id="hole-part"):
            editor = _editor()
            about = gr.Markdown(HINT, elem_id="about")
            with gr.Accordion("… or upload a mask", open=False, elem_id="mask-part"):
                mask = gr.File(label="Mask: white is filled", file_types=FILE_TYPES, height=140, elem_id="mask")
                with gr.Row():
                    invert = gr.Checkbox(label="Invert: black is filled", min_width=140)
                    resize = gr.Checkbox(label="Resize to the photo’s size", min_width=140)
        with gr.Column(elem_id="models-part"):
            chosen = gr.CheckboxGroup(models.names, value=models.names[:1], label="3  Models", elem_id="models")
            run = gr.Button("Fill the hole", variant="primary", elem_id="run")
            status = gr.Markdown(elem_id="status")
    with gr.Row(elem_id="results"):
        panels = [_panel(name) for name in models.names]

    def see(path: str | None, mask_path: str | None, invert: bool, resize: bool) -> list[Any]:
        if path is None:
            return [HINT, None]
        with told():
            read = read_upload(Path(path), limits)
            height, width = read.pixels.shape[:2]
            words, picture, layers = read.words, shown(read.pixels), []
            if mask_path is not None:
                hole = read_mask(Path(mask_path), height, width, invert, resize, limits)
                words, layers = (*words, *hole.words), [as_layer(hole.mask)]  # as if painted: it can be erased
            about = html.escape("; ".join([f"{Path(path).name}: {width} × {height} px", *words])) + f". {HINT}"
        return [about, {"background": picture, "layers": layers, "composite": None}]

    def choose_example(number: int) -> list[Any]:
        photo_path, mask_path = (f"{EXAMPLES[number].with_suffix('')}{end}" for end in (".jpg", "_hole.png"))
        return [photo_path, mask_path, False, *see(photo_path, mask_path, False, False)]

    def prepare(path: str | None, value: Any, mask: str | None, invert: bool, resize: bool, names: list[str]) -> list[Any]:
        with told():
            if path is None:
                raise UserError("no photo: upload one, or pick an example")
            if not names:
                raise UserError("no model: choose at least one")
            asked = read_job(Path(path), value, Path(mask) if mask else None, invert, resize, limits)
        words = f"Hole: {_percent(asked)} of the photo."
        showing = [gr.Column(visible=name in names) for name in models.names]
        return [asked, words, *showing, *([None] * len(panels)), *([gr.DownloadButton(visible=False)] * len(panels))]

    seen: dict[str, Any] = {"inputs": [photo, mask, invert, resize], "outputs": [about, editor], "api_visibility": "private"}
    # a mask is of one photo; an editor that still holds another photo would centre the mask on the larger of the two
    new = photo.upload(lambda: (None, None), None, [mask, editor], api_visibility="private")
    new.then(see, show_progress="minimal", **seen)
    for changed in (photo.clear, mask.upload, mask.clear, invert.input, resize.input):
        changed(see, show_progress="minimal", **seen)
    examples.click(lambda: None, None, editor, show_progress="hidden", api_visibility="private").then(
        choose_example, examples, [photo, mask, invert, about, editor], show_progress="hidden", api_visibility="private"
    )
    columns, sliders, downloads, notes = zip(*panels, strict=True)
    prepared = run.click(
        prepare,
        [photo, editor, mask, invert, resize, chosen],
        [job, status, *columns, *sliders, *downloads],
        show_progress="minimal",
        api_visibility="private",
    )
    for name, slider, download, note in zip(models.names, sliders, downloads, notes, strict=True):
        prepared.success(
            _filling(models, name, limits),
            [job, chosen],
            [slider, download, note],
            concurrency_id=name,  # one visitor at a time for each model
            concurrency_limit=1,
            show_progress_on=slider,
            api_visibility="private",
        )
    return job


def _filling(models: Models, name: str, limits: Limits) -> Callable[..., Any]:
    """What fills a job's hole with one model."""

    def fill(job: Job, names: list[str], progress: gr.Progress = gr.Progress()) -> list[Any]:  # noqa: B008
        if name not in names:
            return [gr.skip()] * 3
        with told(name):
            photo = opaque_in(read_upload(job.photo, limits), job.mask)
            inpainter = models.inpainter(name)
            filled = inpainter.fill(photo.pixels, job.mask, progress=lambda done, of: progress((done, of), unit="windows"))
            suffix = _ending(photo)
            written = new_folder() / f"{job.photo.stem}-{Path(name).name}{suffix}"
            words = [*filled.plan.words, *write_photo(written, photo, filled.image)]
        facts = [f"{filled.seconds:.2f} s", f"hole {_percent(job)}", f"strategy {filled.plan.strategy}", *words]
        before_after = gr.ImageSlider((shown(photo.pixels), shown(filled.image)), slider_position=_middle(job))
        button = gr.DownloadButton(f"Download {suffix[1:].upper()}", written, visible=True)
        return [before_after, button, html.escape("; ".join(facts))]

    return fill


def _ending(photo: Photo) -> str:
    """Of the photo's name, if that says what the photo is: browsers save many a WebP as `photo.jpg`."""
    own = photo.path.suffix
    return own if FORMAT_OF_SUFFIX.get(own.lower()) == photo.form.format else f".{photo.form.format.lower()}"


def _middle(job: Job) -> float:
    """Of the hole, from the left, in percent of the photo's width: there a slider shows both before and after."""
    columns = np.flatnonzero(job.mask.any(axis=0))
    return 100 * float(columns.mean() + 0.5) / job.mask.shape[1]


def _percent(job: Job) -> str:
    return f"{100 * job.mask.mean():.1f} %"


def _examples() -> gr.Dataset:
    picture = gr.Image(render=False, visible=False)
    samples = [[path.as_posix()] for path in EXAMPLES]
    return gr.Dataset(
        components=[picture], samples=samples, label="… or an example", type="index", layout="gallery", elem_id="examples"
    )


def _editor() -> gr.ImageEditor:
    return gr.ImageEditor(
        label="2  Hole",
        type="pil",
        format="png",
        sources=(),
        transforms=(),
        layers=False,
        canvas_size=(1, 1),  # until there is a photo; it centres a mask on a canvas that was larger
        brush=gr.Brush(default_size=24, colors=[PAINT], color_mode="fixed"),
        eraser=gr.Eraser(default_size=24),
        height="min(520px, 90vw)",
        buttons=["fullscreen"],
        placeholder="Choose a photo first",
        elem_id="editor",
    )


def _panel(name: str) -> tuple[gr.Column, gr.ImageSlider, gr.DownloadButton, gr.Markdown]:
    """Where one model's result is shown."""
    with gr.Column(visible=False, min_width=360, elem_id=f"result-{name.replace('/', '-')}") as column:
        slider = gr.ImageSlider(label=f"{name}: before | after", format="png", interactive=False, buttons=["fullscreen"])
        note = gr.Markdown()
        download = gr.DownloadButton("Download", visible=False, size="sm")
    return column, slider, download, note
