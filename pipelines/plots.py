"""The comparison as plots: every metric with its interval, and every training's curves."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pennet.metrics.catalogue import find

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from pennet.comparison.compare import Comparison

COLUMNS = 3
PANEL_INCHES = (4.2, 2.6)
DPI = 100


def metrics(comparison: Comparison, path: Path) -> None:
    """One panel a metric, over all images: each method's value and its 95 % interval, the best value in colour."""
    entries = comparison.sections[0].entries
    shown = [metric for metric in entries if any(e.result.value is not None for e in entries[metric].values())]
    figure, panels = _panels(len(shown), height=0.28 * len(comparison.methods) + 1.0)
    for metric, panel in zip(shown, panels, strict=True):
        for place, method in enumerate(comparison.methods):
            entry = entries[metric][method]
            if entry.result.value is None:
                continue
            colour = "tab:orange" if entry.rank == 1 else "tab:blue"
            if entry.result.ci_low is not None and entry.result.ci_high is not None:
                panel.plot([entry.result.ci_low, entry.result.ci_high], [place, place], color=colour, linewidth=1.5)
            panel.plot(entry.result.value, place, "o", color=colour, markersize=5)
        panel.set_yticks(range(len(comparison.methods)), comparison.methods, fontsize=8)
        panel.set_ylim(len(comparison.methods) - 0.5, -0.5)  # the first method on top
        panel.tick_params(axis="x", labelsize=8)
        panel.set_title(f"{find(metric).title} {find(metric).arrow}", fontsize=9)
        panel.grid(axis="x", alpha=0.3)
    _save(figure, path)


def table(comparison: Comparison) -> str:
    """CSV for DVC's template `.dvc/plots/metrics.json`: a line for each metric and method that has a value."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["metric", "method", "value"])
    for key, entries in comparison.sections[0].entries.items():
        heading = f"{find(key).title} {find(key).arrow}"
        writer.writerows(
            [heading, method, entry.result.value] for method, entry in entries.items() if entry.result.value is not None
        )
    return text.getvalue()


def curves(histories: Mapping[str, Sequence[pd.DataFrame]], path: Path) -> None:
    """One panel a method: all its losses by step, the first seed opaque and the others pale.

    Args:
        histories: by method, one table a seed: `step` and a column for each loss.
        path: of the PNG.
    """
    figure, panels = _panels(len(histories), height=PANEL_INCHES[1])
    for (method, tables), panel in zip(histories.items(), panels, strict=True):
        for seed, table in enumerate(tables):
            for colour, loss in enumerate(table.columns.drop("step")):
                label = loss.replace("_", " ") if seed == 0 else None
                panel.plot(
                    table["step"], table[loss], color=f"C{colour}", alpha=0.3 if seed else 0.9, linewidth=1, label=label
                )
        panel.set_yscale("symlog", linthresh=0.01)  # losses of all sizes, and CA's discriminators', that change their sign
        panel.set_title(method, fontsize=9, loc="right")
        panel.set_xlabel("step", fontsize=8)
        panel.tick_params(labelsize=8)
        panel.legend(fontsize=6, loc="lower left", bbox_to_anchor=(0, 1.0), ncols=3, frameon=False)
        panel.grid(alpha=0.3)
    _save(figure, path)


def _panels(count: int, height: float) -> tuple[Figure, list[Any]]:
    from matplotlib.figure import Figure  # no pyplot: no window system, no state between figures

    rows = math.ceil(count / COLUMNS)
    figure = Figure(figsize=(PANEL_INCHES[0] * COLUMNS, height * rows), layout="constrained")
    grid = figure.subplots(rows, COLUMNS, squeeze=False).flatten().tolist()
    for empty in grid[count:]:
        empty.axis("off")
    return figure, grid[:count]


def _save(figure: Figure, path: Path) -> None:
    from pennet.atomic import replacing

    with replacing(path) as temporary:
        figure.savefig(temporary, format="png", dpi=DPI, metadata={"Software": None})  # the same data, the same bytes
