"""Stage `compare`: all methods of a data set side by side.

`reports/DATASET/methods/` and `outputs/DATASET/` -> `comparison.json`, `.csv`, `.md`, `costs.csv` and the pictures in
`reports/DATASET/comparison/`, the plots in `reports/DATASET/plots/`, and `metrics.json` and `metrics.csv` beside them for
DVC's own tables and plots. Git keeps them all, they are the results that the README shows: so their numbers are rounded,
and none is a machine's own.

The pictures: `side_by_side.png`, the reference's best, middle and worst; `at_a_glance.png`, few pictures chosen by no
method's results, larger; `sources.png`, where in these the hole's pixels were copied from, if a method copies any.

The first test protocol is the headline: the plots and what DVC shows are of it alone, and so are these pictures. Those of
another protocol have its name in theirs: `side_by_side-irregular.png`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from pennet.config import EvaluateConfig, MethodsConfig
from pennet.errors import UserError
from pipelines import layout
from pipelines.params import stage_main

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from pennet.comparison.compare import Comparison
    from pennet.comparison.seeds import Trials
    from pennet.metrics.per_image import PerImage
    from pennet.pictures import Picture
    from pipelines.outputs import TestSet

SCHEMA_VERSION = 4
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
    from pennet.comparison.tables import costs_csv, csv_text, markdown
    from pennet.cost import read_cost
    from pipelines import plots
    from pipelines.prepared import card

    if not methods.all:
        raise UserError("methods: names no method; list at least one in params.yaml")
    reference = REFERENCE if REFERENCE in methods.all else methods.all[0]
    folders: dict[str, list[Path]] = {
        method: [layout.report_dir(dataset, method, seed) for seed in (seeds if method in methods.learned else [None])]
        for method in methods.all
    }
    trials = _read_trials(folders, reference)
    comparison = compare(trials, reference, evaluate.bootstrap_resamples, evaluate.seed)
    costs = {method: [read_cost(folder / "cost.json") for folder in folders[method]] for method in methods.learned}

    target = layout.comparison_dir(dataset)
    content = {
        "schema_version": SCHEMA_VERSION,
        **dataclasses.asdict(comparison),
        "costs": {method: [dataclasses.asdict(cost) for cost in of_method] for method, of_method in costs.items()},
    }
    write_json(target / "comparison.json", content)
    split = card(dataset)["split_origin"]
    write_text(target / "comparison.csv", csv_text(comparison))
    write_text(target / "costs.csv", costs_csv(costs, seeds))
    write_text(target / "comparison.md", markdown(comparison, f"{dataset}: methods compared", costs, split))
    write_json(layout.summary_path(dataset), _summary(comparison, methods.learned or methods.all))
    write_text(layout.metrics_table(dataset), plots.table(comparison))
    first_seed = {method: seeds[0] if method in methods.learned else None for method in methods.all}
    _draw(dataset, reference, first_seed, {name: of[reference].per_image for name, of in trials.items()}, target)

    plots_dir = layout.plots_dir(dataset)
    plots.metrics(comparison, plots_dir / "metrics.png")
    if methods.learned:
        curves = {method: [pd.read_csv(folder / "history.csv") for folder in folders[method]] for method in methods.learned}
        plots.curves(curves, plots_dir / "curves.png")


def _read_trials(folders: Mapping[str, Sequence[Path]], reference: str) -> dict[str, dict[str, Trials]]:
    """By protocol, the headline first, and by method.

    Args:
        folders: of each method's reports, one a seed.
        reference: the method whose protocols all must have.

    Raises:
        UserError: a method was scored under other protocols.
    """
    from pennet.comparison.seeds import Trials
    from pennet.metrics.per_image import read_per_protocol
    from pennet.metrics.report import read_reports

    reports = {method: [read_reports(folder / "report.json") for folder in of] for method, of in folders.items()}
    tables = {method: [read_per_protocol(folder / "per_image.csv") for folder in of] for method, of in folders.items()}
    protocols = list(reports[reference][0])
    for method in folders:
        for found in [*map(list, reports[method]), *map(list, tables[method])]:
            if found != protocols:
                raise UserError(
                    f"{method} was scored under {', '.join(found)}, {reference} under {', '.join(protocols)};"
                    " evaluate both again with the same masks.protocols"
                )
    return {
        protocol: {
            method: Trials([of[protocol] for of in reports[method]], [of[protocol] for of in tables[method]])
            for method in folders
        }
        for protocol in protocols
    }


def _draw(
    dataset: str,
    reference: str,
    methods: Mapping[str, int | None],
    tables: Mapping[str, PerImage],
    target: Path,
) -> None:
    """Saves the pictures of every protocol.

    Args:
        dataset: its name.
        reference: the method that comes first where there is room for few.
        methods: in the order of the table, with the seed whose results are shown.
        tables: by protocol, the headline first, the reference's scores.
        target: the folder.
    """
    from pennet.data.pictures.picture_files import save_png
    from pennet.pictures import sheet
    from pipelines.outputs import test_set
    from pipelines.showcase import showcase

    reference_first = {reference: methods[reference], **methods}
    few: list[int] = []
    for place, (protocol, table) in enumerate(tables.items()):
        suffix, test = f"-{protocol}" if place else "", test_set(dataset, protocol)
        few = few or showcase(test.images)  # the pictures are those of every protocol
        view = _View(dataset, protocol, test)
        ranked = _best_middle_worst(table.values[SHOWN_BY])  # noqa: PD011
        save_png(target / f"side_by_side{suffix}.png", sheet(*_side_by_side(view, methods, ranked)))
        glance = _side_by_side(view, reference_first, few)
        save_png(target / f"at_a_glance{suffix}.png", sheet(*glance, GLANCE_CELL_PX, GLANCE_TITLE_PX))
        if copying := {m: seed for m, seed in reference_first.items() if view.sources_dir(m, seed).is_dir()}:
            save_png(target / f"sources{suffix}.png", _sources(view, copying, few))


class _View(NamedTuple):
    """What there is to see of a data set under one protocol."""

    dataset: str
    protocol: str
    test: TestSet

    def holed(self, i: int) -> Picture:
        """A test picture with a white hole."""
        import numpy as np

        return np.where(self.test.masks[i][..., None] > 0, np.uint8(255), self.test.images[i])

    def composite(self, method: str, seed: int | None, i: int) -> Picture:
        from pennet.data.pictures.picture_files import read_rgb

        folder = layout.filled_dir(self.dataset, method, seed, self.protocol)
        return read_rgb(folder / "composite" / f"{self.test.names[i]}.png")

    def sources_dir(self, method: str, seed: int | None) -> Path:
        return layout.sources_dir(self.dataset, method, seed, self.protocol)


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


def _side_by_side(view: _View, methods: Mapping[str, int | None], shown: list[int]) -> tuple[list[list[Picture]], list[str]]:
    """Rows and titles of a sheet, one row a picture: input with a white hole, every method's composite, ground truth."""
    import numpy as np

    rows = []
    for i in shown:
        composites = [view.composite(method, seed, i) for method, seed in methods.items()]
        rows.append([view.holed(i), *composites, np.asarray(view.test.images[i])])
    return rows, ["input", *methods, "ground truth"]


def _sources(view: _View, methods: Mapping[str, int | None], shown: list[int]) -> Picture:
    """One row a picture: input with a white hole, and of each method the composite and the colours of its sources."""
    import numpy as np

    from pennet.pictures import enlarged, sheet
    from pennet.source_figure import PANEL_PX, TITLE_PX, source_panel

    rows = []
    for i in shown:
        row = [enlarged(view.holed(i), PANEL_PX)]
        for method, seed in methods.items():
            sources = np.load(view.sources_dir(method, seed) / f"{view.test.names[i]}.npy")
            row.append(enlarged(view.composite(method, seed, i), PANEL_PX))
            row.append(source_panel(view.test.images[i], view.test.masks[i], sources))
        rows.append(row)
    titles = ["input", *(title for method in methods for title in (method, f"{method}: copied from"))]
    return sheet(rows, titles, PANEL_PX, TITLE_PX)


if __name__ == "__main__":
    stage_main(run)
