"""`pennet evaluate`: the metrics of any tool's results."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pennet.commands.ending import fail
from pennet.errors import UserError
from pennet.extras import require

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
        from pennet.inpainting.devices import asked_device
        from pennet.metrics.features import default_cache_dir, inception_cache_path
        from pennet.metrics.per_image import write_per_image
        from pennet.metrics.report import write_report
        from pennet.metrics.scoring import score

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
        scores = score(pairs, config, asked_device(device, "--device"), cache_dir or default_cache_dir(), inception_weights)
        if json:
            write_report(json, scores.report)
        if csv:
            write_per_image(csv, scores.per_image)
    except (UserError, OSError) as error:
        fail(error)
    _print(scores.report)


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
