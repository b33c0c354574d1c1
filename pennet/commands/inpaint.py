"""`pennet inpaint`: fills the holes of photos, one or many."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pennet.commands.ending import fail
from pennet.commands.new_files import check_new, check_png, same_file
from pennet.errors import UserError
from pennet.methods import classical_methods

if TYPE_CHECKING:
    from pennet.commands.jobs import Job
    from pennet.inpainter import Inpainter


class StrategyChoice(StrEnum):
    auto = "auto"
    original = "original"
    crop = "crop"
    resize = "resize"


def _known_method(name: str | None) -> str | None:
    if name is not None and name not in classical_methods():
        raise typer.BadParameter(f"{name!r} is none of {', '.join(classical_methods())}.")
    return name


def _methods() -> list[str]:
    return list(classical_methods())


MODELS, HOLES, RESULTS = "What fills", "The hole", "The result"


def inpaint(
    images: Annotated[
        list[str], typer.Argument(metavar="IMAGE", help="Photos: files, folders with subfolders, or globs in quotes.")
    ],
    mask: Annotated[
        str,
        typer.Argument(
            metavar="MASK",
            help="White where a photo is to be filled: a file, for all photos; a folder or a glob in quotes, one each,"
            " called NAME or NAME_mask for the photo NAME; or the word alpha: what is transparent in it is the hole.",
        ),
    ],
    output: Annotated[
        str | None,
        typer.Option(
            "--output",
            "-o",
            help="A folder, made if there is none; for one photo also a file, whose suffix says the format"
            " \\[default: NAME_filled.SUFFIX beside the photo].",
            rich_help_panel=RESULTS,
        ),
    ] = None,
    overwrite: Annotated[
        bool,
        typer.Option("--overwrite", help="Replace results that are there; photos and masks never.", rich_help_panel=RESULTS),
    ] = False,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run", help="Write nothing; say what would be done, and with how much memory.", rich_help_panel=RESULTS
        ),
    ] = False,
    json: Annotated[
        bool,
        typer.Option("--json", help="Print one JSON object a photo, and nothing else, to stdout.", rich_help_panel=RESULTS),
    ] = False,
    sources: Annotated[
        Path | None,
        typer.Option(
            help="Draw here (PNG) where the hole's pixels were copied from; for one photo, filled whole at its own size.",
            rich_help_panel=RESULTS,
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            help="Folder or file of a trained generator, a checkpoint of the authors' release, or models:/NAME@alias"
            " \\[default: the generator that comes with the program].",
            rich_help_panel=MODELS,
        ),
    ] = None,
    method: Annotated[
        str | None,
        typer.Option(
            help=f"Instead of a model, a method that needs no training: {', '.join(classical_methods())}.",
            callback=_known_method,
            autocompletion=_methods,
            rich_help_panel=MODELS,
        ),
    ] = None,
    onnx: Annotated[
        Path | None, typer.Option(help="Instead of a model, what `pennet export --onnx` wrote.", rich_help_panel=MODELS)
    ] = None,
    strategy: Annotated[
        StrategyChoice | None,
        typer.Option(
            help="original: the whole photo at once. crop: each hole with its context, at its own size. resize: each hole at"
            " the size that the model was trained for, enlarged. auto: as resize, and the photo's own details are"
            " carried into the hole \\[default: auto].",
            rich_help_panel=MODELS,
        ),
    ] = None,
    sharpness: Annotated[
        float | None,
        typer.Option(
            help="Softmax scale of the attention; higher copies single patches, lower mixes them"
            " \\[default: the model's own].",
            rich_help_panel=MODELS,
        ),
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.", rich_help_panel=MODELS)] = "auto",
    dilate: Annotated[
        int, typer.Option(min=0, metavar="PX", help="Grow the hole by so many pixels.", rich_help_panel=HOLES)
    ] = 0,
    feather: Annotated[
        int,
        typer.Option(
            min=0,
            metavar="PX",
            help="Blend what is filled into the photo over so many pixels around the hole; at 0 every known pixel keeps"
            " its value.",
            rich_help_panel=HOLES,
        ),
    ] = 0,
    invert_mask: Annotated[bool, typer.Option("--invert-mask", help="Black is the hole.", rich_help_panel=HOLES)] = False,
    resize_mask: Annotated[
        bool, typer.Option("--resize-mask", help="Stretch masks of another size over the photo.", rich_help_panel=HOLES)
    ] = False,
) -> None:
    """Fill the holes of photos; format, depth, colours and camera notes stay, in lossless formats every known pixel, too.

    pennet inpaint photo.jpg mask.png writes photo_filled.jpg. Of many photos one that cannot be filled does not stop the
    others: it is listed at the end, and the exit code is 1.
    """
    if sum(choice is not None for choice in (model, method, onnx)) > 1:
        raise typer.BadParameter("choose one of --model, --method and --onnx.")
    if sources and (dry_run or strategy not in (None, StrategyChoice.original)):
        raise typer.BadParameter("--sources draws the copies of --strategy original, and is not for a --dry-run.")
    for option, value in (("--model", model), ("--onnx", onnx), ("--sources", sources)):
        if value == "" or value == Path():  # of a name that is empty pathlib makes this folder
            raise typer.BadParameter(f"{option}: is empty; name a file, or leave it out.")
    if invert_mask and mask == "alpha":
        raise typer.BadParameter("--invert-mask is for masks in files; with alpha what is transparent is the hole.")
    try:
        from pennet.commands.filling import Outcome, Progress, Settings, fill_photo
        from pennet.commands.jobs import find_jobs
        from pennet.commands.running import run

        found = find_jobs(images, mask, output, overwrite)
        if sources:
            _check_sources(sources, found.jobs, overwrite)
        for word in found.words:
            typer.echo(f"pennet: {word}", err=True)
        settings = Settings(
            strategy="original" if sources else (strategy or StrategyChoice.auto).value,
            sharpness=sharpness,
            dilate_px=dilate,
            feather_px=feather,
            invert_mask=invert_mask,
            resize_mask=resize_mask,
            dry_run=dry_run,
            sources=sources,
        )
        inpainter = None if all(job.error for job in found.jobs) else _inpainter(method or model, onnx, device)

        def fill(job: Job, progress: Progress) -> Outcome:
            assert inpainter is not None
            return fill_photo(job, inpainter, settings, progress)

        code = run(found.jobs, fill, json)
    except (UserError, OSError) as error:
        fail(error)
    raise typer.Exit(code)


def _inpainter(model: str | None, onnx: Path | None, device: str) -> Inpainter:
    from pennet.inpainter import DEFAULT_MODEL, Inpainter

    if onnx:
        from pennet.onnx.running import load_onnx

        return Inpainter(load_onnx(onnx), device)
    return Inpainter(model or DEFAULT_MODEL, device)


def _check_sources(sources: Path, jobs: list[Job], overwrite: bool) -> None:
    from pennet.data.sources.search import shown

    if len(jobs) > 1:
        raise UserError(f"--sources {shown(sources)}: is for one photo, not for {len(jobs)}; fill one by itself")
    (job,) = jobs
    check_png(sources)
    if same_file(sources) == same_file(job.output):
        raise UserError(f"--sources {shown(sources)}: is where the result goes; choose another name")
    check_new(sources, [path for path in (job.photo, job.mask) if path], overwrite)
