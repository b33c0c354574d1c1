"""A comparison for readers: Markdown with the best in bold, and CSV with one line per result, and per training its cost."""

from __future__ import annotations

import csv
import dataclasses
import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from pennet.metrics.comparison import Comparison, Difference, Entry, Section
from pennet.metrics.report import MetricResult

if TYPE_CHECKING:
    from pennet.training.cost import Cost

_TITLES = {
    "l1": "L1",
    "l1_hole": "L1 in the hole",
    "l1_relative": "relative L1",
    "psnr": "PSNR (dB)",
    "ssim": "SSIM",
}


def title(metric: str) -> str:
    """A column's title: `ms_ssim_3` is `MS-SSIM (3 scales)`, `fid_efflite0` is `FID (efflite0)`."""
    if metric in _TITLES:
        return _TITLES[metric]
    if metric.startswith("ms_ssim"):
        scales = metric.removeprefix("ms_ssim").removeprefix("_")
        return f"MS-SSIM ({scales} scale{'s' if scales != '1' else ''})" if scales else "MS-SSIM"
    kind, _, network = metric.partition("_")
    return f"{kind.upper()} ({network})"


def number(metric: str, value: float, signed: bool = False) -> str:
    """A value with the digits that a reader can use: two for dB, IS and FID, four for the rest."""
    digits = 2 if metric.startswith(("psnr", "is_", "fid_")) else 4
    return f"{value:{'+' if signed else ''}.{digits}f}"


def arrow(result: MetricResult) -> str:
    return "↑" if result.better == "higher" else "↓"


def markdown(comparison: Comparison, heading: str, costs: Mapping[str, Sequence[Cost]]) -> str:
    """The comparison as Markdown: per section a table of values, one of differences from the reference, and one of ranks.

    Args:
        comparison: the results.
        heading: the title.
        costs: of the trained methods, one a seed.
    """
    lines = [f"# {heading}", ""]
    if costs:
        lines += [budget(costs), ""]
    for section in comparison.sections:
        name = "All images" if section.name == "overall" else f"Hole ratio {section.name}"
        lines += [f"## {name}", "", *_values(comparison, section), ""]
        if len(comparison.methods) > 1:
            lines += [*_differences(comparison, section), *_ranks(comparison, section)]
    if costs:
        lines += ["## Training cost", "", *cost_table(costs), "", *_cost_notes(costs), ""]
    lines += ["## Notes", "", *_notes(comparison)]
    return "\n".join(lines).rstrip() + "\n"


def budget(costs: Mapping[str, Sequence[Cost]]) -> str:
    """What was equal for all learned methods, in one sentence."""
    every = [cost for of_method in costs.values() for cost in of_method]
    minutes = sorted({cost.minutes for cost in every})
    if len(minutes) == 1 and all(cost.budget == "minutes" for cost in every):
        return (
            f"Budget: the same wall time for every learned method, {minutes[0]:g} minutes, turned into steps at its own pace"
            " before the training (times and steps are under Training cost)."
        )
    steps = sorted({cost.steps for cost in every})
    if len(steps) == 1 and all(cost.budget == "steps" for cost in every):
        return f"Budget: the same number of generator steps for every learned method, {steps[0]:,}."
    return "Budget: not the same for all learned methods; see Training cost before comparing them."


def cost_table(costs: Mapping[str, Sequence[Cost]]) -> list[str]:
    """Rows of a Markdown table: what each training cost, the mean over seeds."""
    header = ["method", "parameters", "trained parameters", "steps", "time (s)", "images/s", "peak memory (MiB)"]
    rows = []
    for method, of_method in costs.items():

        def mean(name: str, of_method: Sequence[Cost] = of_method) -> float:
            return sum(float(getattr(cost, name)) for cost in of_method) / len(of_method)

        sizes = [f"{mean(name):,.0f}" for name in ("parameters", "training_parameters", "steps", "seconds")]
        rows.append([method, *sizes, f"{mean('images_per_second'):.1f}", f"{mean('peak_memory_mib'):,.0f}"])
    return _table(header, rows)


def _cost_notes(costs: Mapping[str, Sequence[Cost]]) -> list[str]:
    every = [cost for of_method in costs.values() for cost in of_method]
    devices = sorted({f"{c.device}, {c.num_threads} thread{'s' if c.num_threads > 1 else ''}" for c in every})
    return [
        f"Trained on: {'; '.join(devices)}. Parameters: of the generator; trained parameters: with the critics. Images/s:"
        " of the generator's own batches. Peak memory: on a CPU of the whole process, on CUDA of the allocator. The other"
        " methods are not trained."
    ]


def csv_text(comparison: Comparison) -> str:
    """One line per section, metric and method; empty cells where there is no value."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    header = ["section", "metric", "method", "value", "std", "ci_low", "ci_high", "n", "seeds", "seed_std", "rank"]
    differences = ["difference", "difference_ci_low", "difference_ci_high", "difference_n", "wilcoxon_p"]
    writer.writerow([*header, *differences, "status"])
    for section in comparison.sections:
        for metric, entries in section.entries.items():
            for method, entry in entries.items():
                r, d = entry.result, entry.difference
                row = [section.name, metric, method, r.value, r.std, r.ci_low, r.ci_high, r.n]
                row += [comparison.num_seeds[method], entry.seed_std, entry.rank]
                row += [d.mean, d.ci_low, d.ci_high, d.n, d.wilcoxon_p] if d else [None] * len(differences)
                writer.writerow([*row, r.status])
    return text.getvalue()


def costs_csv(costs: Mapping[str, Sequence[Cost]], seeds: Sequence[int]) -> str:
    """One line per training: method, seed, and every field of its cost.

    Args:
        costs: of the trained methods, one a seed.
        seeds: of the trainings, in the same order.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    rows = [
        {"method": method, "seed": seed} | dataclasses.asdict(cost)
        for method, of_method in costs.items()
        for seed, cost in zip(seeds, of_method, strict=True)
    ]
    writer.writerow(rows[0] if rows else ["method", "seed"])
    writer.writerows(row.values() for row in rows)
    return text.getvalue()


def _values(comparison: Comparison, section: Section) -> list[str]:
    metrics = list(section.entries)
    results = {metric: section.entries[metric][comparison.reference].result for metric in metrics}
    header = ["method", *(f"{title(metric)} {arrow(results[metric])}" for metric in metrics), "n"]
    rows = [
        [method, *(_value_cell(section.entries[metric][method]) for metric in metrics), str(section.n)]
        for method in comparison.methods
    ]
    return _table(header, rows)


def _differences(comparison: Comparison, section: Section) -> list[str]:
    others = [method for method in comparison.methods if method != comparison.reference]
    metrics = [m for m, of_metric in section.entries.items() if any(of_metric[method].difference for method in others)]
    if not metrics:
        return []
    rows = [
        [
            method,
            *(_difference_cell(metric, section.entries[metric][method].difference) for metric in metrics),
        ]
        for method in others
    ]
    text = f"Difference from {comparison.reference}, image by image: mean, 95 % interval, Wilcoxon's p."
    return [text, "", *_table(["method", *(title(metric) for metric in metrics)], rows), ""]


def _ranks(comparison: Comparison, section: Section) -> list[str]:
    metrics = list(section.entries)
    ranks = [[section.entries[metric][method].rank for metric in metrics] for method in comparison.methods]
    rows = [
        [method, *("–" if rank is None else str(rank) for rank in of_method)]
        for method, of_method in zip(comparison.methods, ranks, strict=True)
    ]
    table = _table(["method", *(title(metric) for metric in metrics)], rows)
    return ["Ranks: 1 is the best, equals share a rank.", "", *table, ""]


def _notes(comparison: Comparison) -> list[str]:
    section = comparison.sections[0]
    several = {method: n for method, n in comparison.num_seeds.items() if n > 1}
    over_seeds = (
        f" {', '.join(f'{method} ({n})' for method, n in several.items())}: mean over that many seeds, ± their standard"
        " deviation."
        if several
        else ""
    )
    lines = [
        "Small print: 95 % interval over images (bootstrap of the mean; jackknife for IS, FID and KID), and ± the spread"
        " over splits (IS) or draws (KID)."
        f" Bold: best. Arrows: the better direction. Scores of different networks are not comparable.{over_seeds}",
        "",
    ]
    said: dict[str, list[str]] = {}
    for metric, entries in section.entries.items():
        for method, entry in entries.items():
            notes = entry.result.notes if entry.result.status == "ok" else [entry.result.status]
            for note in notes:
                said.setdefault(f"{title(metric)}: {note}", []).append(method)
    for note, methods in said.items():
        lines.append(f"- {note}" if len(methods) == len(entries) else f"- {note} ({', '.join(methods)})")
    return lines


def _value_cell(entry: Entry) -> str:
    result = entry.result
    if result.value is None:
        return result.status.partition(":")[0]
    value = number(result.name, result.value)
    cell = f"**{value}**" if entry.rank == 1 else value
    if entry.seed_std is not None:
        cell += f" ± {number(result.name, entry.seed_std)}"
    small = []
    if result.ci_low is not None and result.ci_high is not None:
        small.append(" to ".join(number(result.name, bound) for bound in (result.ci_low, result.ci_high)))
    if result.std is not None:
        small.append(f"± {number(result.name, result.std)}")
    return f"{cell}<br><sub>{'; '.join(small)}</sub>" if small else cell


def _difference_cell(metric: str, difference: Difference | None) -> str:
    if difference is None:
        return "–"
    p = "p < 0.001" if difference.wilcoxon_p < 0.001 else f"p = {difference.wilcoxon_p:.3f}"
    interval = ""
    if difference.ci_low is not None and difference.ci_high is not None:
        low, high = (number(metric, bound, True) for bound in (difference.ci_low, difference.ci_high))
        interval = f"{low} to {high}; "
    return f"{number(metric, difference.mean, True)}<br><sub>{interval}{p}</sub>"


def _table(header: list[str], rows: list[list[str]]) -> list[str]:
    rule = ["---", *["---:"] * (len(header) - 1)]
    return [f"| {' | '.join(row)} |" for row in (header, rule, *rows)]
