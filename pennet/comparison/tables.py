"""A comparison for readers: Markdown with the best in bold, CSV with a line for each result; and what the trainings cost."""

from __future__ import annotations

import csv
import dataclasses
import io
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from pennet.comparison.compare import Comparison, Difference, Entry, Section
from pennet.masks.bins import HOLE_BINS
from pennet.metrics.catalogue import find

if TYPE_CHECKING:
    from pennet.cost import Cost, Timing


def markdown(comparison: Comparison, heading: str, costs: Mapping[str, Sequence[Cost]], split: str = "") -> str:
    """The comparison as Markdown: per section a table of values, one of differences from the reference, and one of ranks.

    Where there are several test protocols each has its own group of rows in every table.

    Args:
        comparison: the results.
        heading: the title.
        costs: of the trained methods, one a seed.
        split: whose division into training and test it is; empty if that is not known.
    """
    lines = [f"# {heading}", ""]
    if split:
        lines += [f"Split: {split}.", ""]
    if costs:
        lines += [budget(costs), ""]
    for name in _section_names(comparison):
        sections = [section for section in comparison.sections if section.name == name]
        heading = "All images" if name == "overall" else f"Hole ratio {name}"
        lines += [f"## {heading}", "", *_values(comparison, sections), ""]
        if len(comparison.methods) > 1:
            lines += [*_differences(comparison, sections), *_ranks(comparison, sections)]
    if costs:
        lines += ["## Training budget", "", *cost_table(costs), "", COST_NOTE, ""]
    lines += ["## Notes", "", *_notes(comparison)]
    return "\n".join(lines).rstrip() + "\n"


def budget(costs: Mapping[str, Sequence[Cost]]) -> str:
    """What was equal for all learned methods, in one sentence."""
    every = [cost for of_method in costs.values() for cost in of_method]
    minutes = sorted({cost.minutes for cost in every})
    if len(minutes) == 1 and all(cost.budget == "minutes" for cost in every):
        return (
            f"Budget: the same wall time for every learned method, {minutes[0]:g} minutes, turned into steps at its own pace"
            " before the training (see Training budget)."
        )
    steps = sorted({cost.steps for cost in every})
    if len(steps) == 1 and all(cost.budget == "steps" for cost in every):
        return f"Budget: the same number of generator steps for every learned method, {steps[0]:,}."
    return "Budget: not the same for all learned methods; see Training budget before comparing them."


def cost_table(costs: Mapping[str, Sequence[Cost]]) -> list[str]:
    """Rows of a Markdown table: the size of what was trained and its steps, the mean over seeds."""
    fields = ("parameters", "training_parameters", "steps")
    rows = [[method, *(f"{_mean(of_method, name):,.0f}" for name in fields)] for method, of_method in costs.items()]
    return _table(["method", "parameters", "trained parameters", "steps"], rows)


def timing_table(timings: Mapping[str, Sequence[Timing]]) -> str:
    """What the trainings took on the machine that ran them, as Markdown: the mean over seeds.

    Args:
        timings: by method, one a seed; a method that was not trained here has none.
    """
    rows = []
    for method, of_method in timings.items():
        if not of_method:
            rows.append([method, *["–"] * 4])
            continue
        peaks = [timing.peak_memory_mib for timing in of_method]
        peak = "unknown" if None in peaks else f"{_mean(of_method, 'peak_memory_mib'):,.0f}"
        where = sorted({_machine(timing) for timing in of_method})
        speed = f"{_mean(of_method, 'images_per_second'):.1f}"
        rows.append([method, f"{_mean(of_method, 'seconds'):,.0f}", speed, peak, "; ".join(where)])
    table = _table(["method", "time (s)", "images/s", "peak memory (MiB)", "trained on"], rows)
    return "\n".join([*table, "", TIMING_NOTE]) + "\n"


def _machine(timing: Timing) -> str:
    shared = "" if set(timing.processes) == {1} else f"{', then '.join(map(str, timing.processes))} processes, "
    return f"{timing.device}, {shared}{timing.num_threads} thread{'s' * (timing.num_threads > 1)}, torch {timing.torch}"


COST_NOTE = (
    "Parameters: of the generator; trained parameters: with the discriminators. The other methods are not trained. Times are"
    " a machine's own and stand in no committed file."
)
TIMING_NOTE = (
    "Images/s: of the generator's own batches. Peak memory: on a CPU of the whole process, on CUDA of the allocator. Times"
    " are comparable within one machine that did nothing else."
)


def _mean(costs: Sequence[Cost] | Sequence[Timing], name: str) -> float:
    return sum(float(getattr(cost, name)) for cost in costs) / len(costs)


def csv_text(comparison: Comparison) -> str:
    """One line per protocol, section, metric and method; empty cells where there is no value."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    header = [
        "protocol",
        "section",
        "metric",
        "method",
        "value",
        "std",
        "ci_low",
        "ci_high",
        "n",
        "seeds",
        "seed_std",
        "rank",
    ]
    differences = ["difference", "difference_ci_low", "difference_ci_high", "difference_n", "wilcoxon_p"]
    writer.writerow([*header, *differences, "status"])
    for section in comparison.sections:
        for metric, entries in section.entries.items():
            for method, entry in entries.items():
                r, d = entry.result, entry.difference
                row = [section.protocol, section.name, metric, method, r.value, r.std, r.ci_low, r.ci_high, r.n]
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


def _section_names(comparison: Comparison) -> list[str]:
    """`overall`, then the bins of any protocol, from small holes to large ones."""
    names = {section.name for section in comparison.sections}
    return [name for name in ("overall", *(hole_bin.name for hole_bin in HOLE_BINS)) if name in names]


def _values(comparison: Comparison, sections: Sequence[Section]) -> list[str]:
    metrics = {key: find(key) for key in _metrics(sections)}
    header = ["method", *(f"{metric.title} {metric.arrow}" for metric in metrics.values()), "n"]

    def rows(section: Section) -> list[list[str]]:
        return [
            [method, *(_value_cell(section.entries[key][method]) for key in metrics), str(section.n)]
            for method in comparison.methods
        ]

    return _table(header, _grouped(comparison, sections, rows))


def _differences(comparison: Comparison, sections: Sequence[Section]) -> list[str]:
    others = [method for method in comparison.methods if method != comparison.reference]
    metrics = [
        metric
        for metric in _metrics(sections)
        if any(section.entries[metric][method].difference for section in sections for method in others)
    ]
    if not metrics:
        return []

    def rows(section: Section) -> list[list[str]]:
        return [
            [method, *(_difference_cell(metric, section.entries[metric][method].difference) for metric in metrics)]
            for method in others
        ]

    text = f"Difference from {comparison.reference}, image by image: mean, 95 % interval, Wilcoxon's p."
    header = ["method", *(find(metric).title for metric in metrics)]
    return [text, "", *_table(header, _grouped(comparison, sections, rows)), ""]


def _ranks(comparison: Comparison, sections: Sequence[Section]) -> list[str]:
    metrics = _metrics(sections)

    def rows(section: Section) -> list[list[str]]:
        ranks = {method: [section.entries[metric][method].rank for metric in metrics] for method in comparison.methods}
        return [[method, *("–" if rank is None else str(rank) for rank in of)] for method, of in ranks.items()]

    header = ["method", *(find(metric).title for metric in metrics)]
    return ["Ranks: 1 is the best, equals share a rank.", "", *_table(header, _grouped(comparison, sections, rows)), ""]


def _metrics(sections: Sequence[Section]) -> list[str]:
    """Every protocol is scored with the same ones."""
    return list(sections[0].entries)


def _grouped(
    comparison: Comparison, sections: Sequence[Section], rows: Callable[[Section], list[list[str]]]
) -> list[list[str]]:
    """The rows of the sections, each below the name of its protocol where there are several."""
    grouped = []
    for section in sections:
        of_section = rows(section)
        if len(comparison.protocols) > 1:
            grouped.append([f"*{section.protocol}*", *[""] * (len(of_section[0]) - 1)])
        grouped += of_section
    return grouped


def _notes(comparison: Comparison) -> list[str]:
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
    overall = [section for section in comparison.sections if section.name == "overall"]
    rows_by_note: dict[str, list[str]] = {}
    for section in overall:
        for metric, entries in section.entries.items():
            for method, entry in entries.items():
                row = method if len(overall) == 1 else f"{section.protocol}: {method}"
                for note in entry.result.notes if entry.result.status == "ok" else [entry.result.status]:
                    rows_by_note.setdefault(f"{find(metric).title}: {note}", []).append(row)
    for note, rows in rows_by_note.items():
        everywhere = len(rows) == len(overall) * len(comparison.methods)
        lines.append(f"- {note}" if everywhere else f"- {note} ({', '.join(rows)})")
    return lines


def _value_cell(entry: Entry) -> str:
    result = entry.result
    if result.value is None:
        return result.status.partition(":")[0]
    metric = find(result.name)
    value = metric.text(result.value)
    cell = f"**{value}**" if entry.rank == 1 else value
    if entry.seed_std is not None:
        cell += f" ± {metric.text(entry.seed_std)}"
    small = []
    if result.ci_low is not None and result.ci_high is not None:
        small.append(" to ".join(metric.text(bound) for bound in (result.ci_low, result.ci_high)))
    if result.std is not None:
        small.append(f"± {metric.text(result.std)}")
    return f"{cell}<br><sub>{'; '.join(small)}</sub>" if small else cell


def _difference_cell(metric: str, difference: Difference | None) -> str:
    if difference is None:
        return "–"
    p = difference.wilcoxon_p
    p = f"p < {p[1:]}" if p.startswith("<") else f"p = {p}"
    interval = ""
    if difference.ci_low is not None and difference.ci_high is not None:
        low, high = (find(metric).text(bound, True) for bound in (difference.ci_low, difference.ci_high))
        interval = f"{low} to {high}; "
    return f"{find(metric).text(difference.mean, True)}<br><sub>{interval}{p}</sub>"


def _table(header: list[str], rows: list[list[str]]) -> list[str]:
    rule = ["---", *["---:"] * (len(header) - 1)]
    return [f"| {' | '.join(row)} |" for row in (header, rule, *rows)]
