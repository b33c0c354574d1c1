"""The command line of the library: `pennet inpaint`, `pennet mask`, `pennet pack`, `pennet evaluate`, `pennet data`."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from pennet.data.commands import cli as data_cli
from pennet.errors import UserError
from pennet.extras import require
from pennet.masks import KINDS
from pennet.studio.command import studio

if TYPE_CHECKING:
    from rich.table import Table

    from pennet.metrics.report import Report


class ExtractorChoice(StrEnum):
    efflite0 = "efflite0"
    inception = "inception"
    none = "none"


class LPIPSChoice(StrEnum):
    alex = "alex"
    vgg = "vgg"
    none = "none"


app = typer.Typer(
    help="PEN-Net Studio: image inpainting that can be measured and repeated.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(data_cli.app, name="data")
app.command()(studio)


@app.command()
def inpaint(
    image: Annotated[Path, typer.Argument(help="The picture, of any size.")],
    mask: Annotated[Path, typer.Argument(help="White where it is to be filled, black elsewhere; the picture's size.")],
    output: Annotated[Path, typer.Argument(help="Where the result goes (PNG).")],
    model: Annotated[Path, typer.Option(help="Folder of a trained generator, made by the train stage.")],
    sharpness: Annotated[
        float | None,
        typer.Option(
            help="Softmax scale of the attention; higher copies single patches, lower mixes them"
            " \\[default: the model's own]."
        ),
    ] = None,
    sources: Annotated[
        Path | None,
        typer.Option(help="Draw here (PNG) where the hole's pixels were copied from, if the model copies pixels."),
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")] = "auto",
) -> None:
    """Fill the hole of one picture; every known pixel keeps its value."""
    try:
        from pennet.data.pictures.picture_files import read_mask, read_rgb, save_png
        from pennet.generator_files import load_generator
        from pennet.inference import check_copies_pixels, find_sources
        from pennet.inference import inpaint as fill
        from pennet.seeding import choose_device
        from pennet.source_figure import source_figure

        for path in (output, *([sources] if sources else [])):
            _check_png(path)
        picture, hole = read_rgb(image), read_mask(mask)
        if not hole.any():
            raise UserError(f"{mask}: no hole (no white pixel); paint white what is to be filled")
        generator = load_generator(model).to(choose_device(device))
        if sources:
            check_copies_pixels(generator)
        filled = fill(generator, picture, hole, sharpness)
        save_png(output, filled)
        if sources:
            places = find_sources(generator, picture, hole, sharpness)
            save_png(sources, source_figure(picture, hole, filled, places))
    except (UserError, OSError) as error:
        _fail(str(error))


@app.command()
def mask(
    kind: Annotated[str, typer.Argument(help=f"{', '.join(kind.name for kind in KINDS)}.")],
    output: Annotated[Path, typer.Argument(help="Where the mask goes (PNG); white = hole.")],
    height: Annotated[int, typer.Option(min=1, help="Pixels.")] = 256,
    width: Annotated[int, typer.Option(min=1, help="Pixels.")] = 256,
    seed: Annotated[int, typer.Option(min=0, help="Of the kinds that are drawn at random.")] = 0,
) -> None:
    """Draw a mask of a kind that methods are trained or tested with."""
    try:
        import numpy as np

        from pennet.data.pictures.picture_files import save_png
        from pennet.masks import mask_function

        _check_png(output)
        hole = mask_function(kind)(np.random.default_rng(seed), height, width)
        save_png(output, np.repeat(255 * hole[..., None], 3, axis=2))
    except (UserError, OSError) as error:
        _fail(str(error))


@app.command()
def pack(
    photos: Annotated[Path, typer.Argument(help="Folder of photos, with subfolders; one subfolder stays in one split.")],
    archive: Annotated[Path, typer.Argument(help="The zip file to write.")],
    test_ratio: Annotated[float, typer.Option(help="Share kept for the test.")] = 0.2,
) -> None:
    """Make a data set of your own photos; prints what to add to params.yaml."""
    from pennet.data.commands.entry import Entry, data_set_name
    from pennet.data.commands.pack import pack as pack_folder

    try:
        packed = pack_folder(photos, archive, test_ratio)
    except (UserError, OSError) as error:
        _fail(str(error))
    if packed.left_out:
        typer.echo(f"left out: {packed.left_out}", err=True)
    typer.echo(f"{archive}: {packed.num_train} training and {packed.num_test} test photos. Add to params.yaml:")
    typer.echo(Entry(data_set_name(archive.stem), "packed", archive.as_posix(), packed.sha256).text(), nl=False)


@app.command()
def evaluate(
    real: Annotated[Path, typer.Argument(help="Folder of ground-truth pictures, with subfolders; all of one size.")],
    fake: Annotated[Path, typer.Argument(help="Folder of results with the same names, each of its truth's size.")],
    masks: Annotated[
        Path | None,
        typer.Option(help="Folder of masks, white = hole; everything else is taken from the ground truth before scoring."),
    ] = None,
    json: Annotated[Path | None, typer.Option(help="Write the report here.")] = None,
    csv: Annotated[Path | None, typer.Option(help="Write every image's values here.")] = None,
    extractor: Annotated[
        list[ExtractorChoice],
        typer.Option(help="Network for IS, FID and KID; may be repeated. inception needs a download."),
    ] = [ExtractorChoice.efflite0],
    lpips: Annotated[list[LPIPSChoice], typer.Option(help="Backbone of LPIPS; may be repeated; none leaves it out.")] = [
        LPIPSChoice.alex
    ],
    inception_weights: Annotated[
        Path | None, typer.Option(help="File of the Inception weights; downloaded to it if absent.")
    ] = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Pictures scored together; changes no value.")] = 16,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")] = "auto",
    cache_dir: Annotated[
        Path | None,
        typer.Option(help="Folder of remembered features \\[default: ~/.cache/pennet/features]."),
    ] = None,
) -> None:
    """Compare a folder of results with the ground truth by every metric of docs/metrics.md.

    Pictures are matched by path without suffix, and all must have one size: evaluate others by themselves.

    With masks composites are scored, and the report says in how many results known pixels were not the truth's.
    """
    try:
        require("metrics", "cv2", "scipy")
        from pennet.config import EvaluateConfig, config_from_mapping
        from pennet.folders import pair_folders
        from pennet.metrics.features import default_cache_dir, inception_cache_path
        from pennet.metrics.per_image import write_per_image
        from pennet.metrics.report import write_report
        from pennet.metrics.scoring import score
        from pennet.seeding import choose_device

        values = {
            "bootstrap_resamples": 2000,
            "seed": 7,
            "extractors": [choice.value for choice in extractor if choice != "none"],
            "weights_dir": str(inception_cache_path().parent),
            "is_splits": 10,
            "kid_subsets": 100,
            "kid_subset_size": 50,
            "lpips_nets": [choice.value for choice in lpips if choice != "none"],
            "batch_size": batch_size,
            "sheet_images": 1,
        }
        config = config_from_mapping(EvaluateConfig, values, "command line")
        pairs = pair_folders(real, fake, masks)
        scores = score(pairs, config, choose_device(device), cache_dir or default_cache_dir(), inception_weights)
        if json:
            write_report(json, scores.report)
        if csv:
            write_per_image(csv, scores.per_image)
    except (UserError, OSError) as error:
        _fail(str(error))
    _print(scores.report)


def _check_png(output: Path) -> None:
    if output.suffix.lower() != ".png":
        raise UserError(f"{output}: the result is a PNG; choose a name that ends in .png")


def _fail(message: str) -> NoReturn:
    typer.echo(f"pennet: {message}", err=True)
    raise typer.Exit(1)


def _print(report: Report) -> None:
    from rich.console import Console

    console = Console()
    size = f"{report.width_px}x{report.height_px} px"
    console.print(_table(f"{report.num_images} images, {size}", report, None))
    for name in report.bins if len(report.bins) > 1 else ():
        console.print(_table(f"hole ratio {name}, {report.bins[name].n} images", report, name))
    if report.num_composited is not None:
        differed = f"{report.num_composited} of {report.num_images} results differed from the truth in known pixels"
        console.print(f"composites scored: {differed}, which were taken from the truth", markup=False, highlight=False)
    if report.num_outside_bins:
        outside = f"images with a hole ratio outside all bins (1 % and less, above 60 %): {report.num_outside_bins}"
        console.print(outside, markup=False, highlight=False)
    names_by_note: dict[str, list[str]] = {}
    for metric in report.overall.values():
        for note in metric.notes if metric.status == "ok" else [metric.status]:
            names_by_note.setdefault(note, []).append(metric.name)
    for note, names in names_by_note.items():
        console.print(f"{', '.join(names)}: {note}", style="dim", markup=False, highlight=False)


def _table(title: str, report: Report, hole_bin: str | None) -> Table:
    from rich.table import Table

    from pennet.metrics.catalogue import find

    table = Table("metric", title=title, title_justify="left")
    for heading in ("value", "spread", "95 % interval", "n"):
        table.add_column(heading, justify="right")
    for result in (report.bins[hole_bin].metrics if hole_bin else report.overall).values():
        metric = find(result.name)
        if result.value is None:
            table.add_row(metric.key, result.status.partition(":")[0], "", "", "0")
            continue
        interval, spread = "", "" if result.std is None else f"± {metric.text(result.std)}"
        if result.ci_low is not None and result.ci_high is not None:
            interval = f"{metric.text(result.ci_low)} to {metric.text(result.ci_high)}"
        table.add_row(f"{metric.key} {metric.arrow}", metric.text(result.value), spread, interval, str(result.n))
    return table


def main() -> None:
    app()
