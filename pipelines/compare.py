"""Stage `compare`: all methods of a data set side by side.

`reports/DATASET/methods/` and `outputs/DATASET/` -> `comparison.json`, `.csv`, `.md`, `costs.csv` and the pictures in
`reports/DATASET/comparison/`, the plots in `reports/DATASET/plots/`, and `metrics.json` and `metrics.csv` beside them for
DVC's own tables and plots. Git keeps them all, they are the results that the README shows: so their numbers are rounded,
and none is a machine's own.

The pictures: `side_by_side.png`, the reference's best, middle and worst; `at_a_glance.png`, few pictures chosen by no
method's results, larger; `sources.png`, where in these the hole's pixels were copied from, if a method copies any.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from pennet.config import EvaluateConfig, MethodsConfig
from pennet.errors import UserError
from pipelines import layout
from pipelines.params import stage_main

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from pennet.comparison.compare import Comparison
    from pennet.pictures import Picture

SCHEMA_VERSION = 3
REFERENCE = "pennet"
"""The method that the others are compared with, where it is in the list; else the first one."""
SUMMARY = ("l1_hole", "lpips", "fid")
"""What `dvc exp show` has room for, for each of two or three methods: one of pixels, of perception, of distributions."""
SHOWN_BY = "l1_hole"
SHOWN_EACH = 2
"""Pictures on the sheet from each end and from the middle of the reference's ranking: no method shows its best only."""
GLANCE_CELL_PX, GLANCE_TITLE_PX = 192, 30


def run(dataset: str, *, seeds: list[int], methods: MethodsConfig, evaluate: EvaluateConfig) -> None:
    """Compares the methods on the test images of DATASET."""
    import dataclasses

    import pandas as pd

    from pennet.atomic import write_json, write_text
    from pennet.comparison.compare import compare
    from pennet.comparison.seeds import Trials
    from pennet.comparison.tables import costs_csv, csv_text, markdown
    from pennet.cost import read_cost
    from pennet.data.picture_files import save_png
    from pennet.metrics.per_image import read_per_image
    from pennet.metrics.report import read_report
    from pennet.pictures import sheet
    from pipelines import plots
    from pipelines.outputs import test_set
    from pipelines.showcase import showcase

    if not methods.all:
        raise UserError("methods: names no method; list at least one in params.yaml")
    reference = REFERENCE if REFERENCE in methods.all else methods.all[0]
    folders: dict[str, list[Path]] = {
        method: [layout.report_dir(dataset, method, seed) for seed in (seeds if method in methods.learned else [None])]
        for method in methods.all
    }
    reports = {method: [read_report(folder / "report.json") for folder in folders[method]] for method in methods.all}
    tables = {method: [read_per_image(folder / "per_image.csv") for folder in folders[method]] for method in methods.all}
    trials = {method: Trials(reports[method], tables[method]) for method in methods.all}
    comparison = compare(trials, reference, evaluate.bootstrap_resamples, evaluate.seed)
    costs = {method: [read_cost(folder / "cost.json") for folder in folders[method]] for method in methods.learned}

    target = layout.comparison_dir(dataset)
    content = {
        "schema_version": SCHEMA_VERSION,
        **dataclasses.asdict(comparison),
        "costs": {method: [dataclasses.asdict(cost) for cost in of_method] for method, of_method in costs.items()},
    }
    write_json(target / "comparison.json", content)
    write_text(target / "comparison.csv", csv_text(comparison))
    write_text(target / "costs.csv", costs_csv(costs, seeds))
    write_text(target / "comparison.md", markdown(comparison, f"{dataset}: methods compared", costs))
    write_json(layout.summary_path(dataset), _summary(comparison, methods.learned or methods.all))
    write_text(layout.metrics_table(dataset), plots.table(comparison))
    per_image = trials[reference].per_image
    shown = _best_middle_worst(per_image.values[SHOWN_BY])  # noqa: PD011
    first_seed = {method: seeds[0] if method in methods.learned else None for method in methods.all}
    save_png(target / "side_by_side.png", sheet(*_side_by_side(dataset, first_seed, shown)))
    few = showcase(test_set(dataset)[1])
    reference_first = {reference: first_seed[reference], **first_seed}
    glance = _side_by_side(dataset, reference_first, few)
    save_png(target / "at_a_glance.png", sheet(*glance, GLANCE_CELL_PX, GLANCE_TITLE_PX))
    if copying := {m: seed for m, seed in reference_first.items() if layout.sources_dir(dataset, m, seed).is_dir()}:
        save_png(target / "sources.png", _sources(dataset, copying, few))

    plots_dir = layout.plots_dir(dataset)
    plots.metrics(comparison, plots_dir / "metrics.png")
    if methods.learned:
        curves = {method: [pd.read_csv(folder / "history.csv") for folder in folders[method]] for method in methods.learned}
        plots.curves(curves, plots_dir / "curves.png")


def _summary(comparison: Comparison, methods: list[str]) -> dict[str, dict[str, float]]:
    """By method and name of the metric; of several networks behind one name the first."""
    from pennet.metrics.catalogue import find

    summary: dict[str, dict[str, float]] = {method: {} for method in methods}
    for key, entries in comparison.sections[0].entries.items():
        for method in methods:
            if (name := find(key).name) in SUMMARY and (value := entries[method].result.value) is not None:
                summary[method].setdefault(name, value)
    return summary


def _best_middle_worst(scores: NDArray[np.float64]) -> list[int]:
    """Places of the lowest, the middle and the highest scores, each once."""
    import numpy as np

    order = np.argsort(scores, kind="stable")
    middle = (len(order) - SHOWN_EACH) // 2
    chosen = [*order[:SHOWN_EACH], *order[middle : middle + SHOWN_EACH], *order[-SHOWN_EACH:]]
    return list(dict.fromkeys(int(place) for place in chosen))


def _side_by_side(
    dataset: str, methods: Mapping[str, int | None], shown: list[int]
) -> tuple[list[list[Picture]], list[str]]:
    """Rows and titles of a sheet, one row a picture: input with a white hole, every method's composite, ground truth."""
    import numpy as np

    from pipelines.outputs import test_set

    names, images, masks = test_set(dataset)
    rows = []
    for i in shown:
        composites = [_composite(dataset, method, seed, names[i]) for method, seed in methods.items()]
        rows.append([np.where(masks[i][..., None] > 0, np.uint8(255), images[i]), *composites, np.asarray(images[i])])
    return rows, ["input", *methods, "ground truth"]


def _sources(dataset: str, methods: Mapping[str, int | None], shown: list[int]) -> Picture:
    """One row a picture: input with a white hole, and of each method the composite and the colours of its sources."""
    import numpy as np

    from pennet.pictures import enlarged, sheet
    from pennet.source_figure import PANEL_PX, TITLE_PX, source_panel
    from pipelines.outputs import test_set

    names, images, masks = test_set(dataset)
    rows = []
    for i in shown:
        row = [enlarged(np.where(masks[i][..., None] > 0, np.uint8(255), images[i]), PANEL_PX)]
        for method, seed in methods.items():
            sources = np.load(layout.sources_dir(dataset, method, seed) / f"{names[i]}.npy")
            row.append(enlarged(_composite(dataset, method, seed, names[i]), PANEL_PX))
            row.append(source_panel(images[i], masks[i], sources))
        rows.append(row)
    titles = ["input", *(title for method in methods for title in (method, f"{method}: copied from"))]
    return sheet(rows, titles, PANEL_PX, TITLE_PX)


def _composite(dataset: str, method: str, seed: int | None, name: str) -> Picture:
    from pennet.data.picture_files import read_rgb

    return read_rgb(layout.outputs_dir(dataset, method, seed) / "composite" / f"{name}.png")


if __name__ == "__main__":
    stage_main(run)
