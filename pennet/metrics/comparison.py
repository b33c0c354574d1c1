"""Methods side by side: ranks, and paired differences from a reference method on the same images."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from pennet.metrics.per_image import PerImage
from pennet.metrics.pixel import Values
from pennet.metrics.report import MetricResult, Report
from pennet.metrics.summary import HOLE_BINS, paired_difference


@dataclass(frozen=True)
class Difference:
    """A method's values minus the reference's, image by image."""

    n: int
    mean: float
    ci_low: float | None
    """95 % bootstrap interval of the mean; null for a single image."""
    ci_high: float | None
    wilcoxon_p: float


@dataclass(frozen=True)
class Entry:
    """One method's result for one metric."""

    result: MetricResult
    rank: int | None
    """1 is the best, equals share a rank; null without a value."""
    difference: Difference | None
    """null for the reference itself and for metrics of whole sets (IS, FID, KID)."""


@dataclass(frozen=True)
class Section:
    """All images, or those of one hole-ratio bin."""

    name: str
    n: int
    entries: dict[str, dict[str, Entry]]
    """By metric, then by method."""


@dataclass(frozen=True)
class Comparison:
    reference: str
    """The method that differences are measured from."""
    methods: list[str]
    sections: list[Section]
    """`overall` first, then the bins, if more than one has images."""


def compare(
    reports: Mapping[str, Report],
    tables: Mapping[str, PerImage],
    reference: str,
    resamples: int,
    seed: int,
) -> Comparison:
    """Compares methods that were scored on the same images.

    Args:
        reports: each method's `metrics.json`, in the order of the table.
        tables: each method's `per_image.csv`.
        reference: the method that differences are measured from.
        resamples: of the bootstrap intervals.
        seed: of the bootstrap intervals.

    Raises:
        ValueError: the methods were scored on different images or with different settings.
    """
    _check_same_images(reports, tables, reference)
    hole_ratio = tables[reference].hole_ratio
    bins = reports[reference].bins
    everything = np.ones(len(tables[reference].names), dtype=bool)
    parts = [("overall", everything, {method: report.overall for method, report in reports.items()})]
    if hole_ratio is not None and len(bins) > 1:
        for hole_bin in (b for b in HOLE_BINS if b.name in bins):
            results = {method: report.bins[hole_bin.name].metrics for method, report in reports.items()}
            parts.append((hole_bin.name, hole_bin.holds(hole_ratio), results))
    sections = []
    for name, members, results in parts:
        entries: dict[str, dict[str, Entry]] = {}
        for metric in sorted(results[reference], key=_place):
            ranks = _ranks({method: results[method][metric] for method in reports})
            entries[metric] = {}
            for method in reports:
                difference = None
                if method != reference and all(metric in tables[m].values for m in (method, reference)):
                    values, base = (tables[m].values[metric][members] for m in (method, reference))
                    difference = _difference(values, base, resamples, seed)
                entries[metric][method] = Entry(results[method][metric], ranks[method], difference)
        sections.append(Section(name, int(members.sum()), entries))
    return Comparison(reference, list(reports), sections)


def _place(metric: str) -> tuple[int, str]:
    """Order of the columns: from pixels to perception to distributions."""
    starts = ("l1", "psnr", "ssim", "ms_ssim", "lpips_", "is_", "fid_", "kid_")
    return next(i for i, start in enumerate((*starts, "")) if metric.startswith(start)), metric


def _difference(values: Values, reference: Values, resamples: int, seed: int) -> Difference | None:
    paired = paired_difference(values, reference, resamples, seed)
    if paired is None:
        return None
    low, high = paired.interval or (None, None)
    return Difference(paired.n, paired.mean, low, high, paired.wilcoxon_p)


def _ranks(results: Mapping[str, MetricResult]) -> dict[str, int | None]:
    """1 plus the number of methods that are strictly better."""
    sign = {method: -1 if result.better == "higher" else 1 for method, result in results.items()}
    values = {method: sign[method] * r.value for method, r in results.items() if r.value is not None}
    return {
        method: 1 + sum(other < values[method] for other in values.values()) if method in values else None
        for method in results
    }


def _check_same_images(reports: Mapping[str, Report], tables: Mapping[str, PerImage], reference: str) -> None:
    first, first_table = reports[reference], tables[reference]
    for method, report in reports.items():
        table = tables[method]
        ratios, first_ratios = (np.empty(0) if t.hole_ratio is None else t.hole_ratio for t in (table, first_table))
        checks = {
            "images": table.names == first_table.names and report.num_images == len(table.names),
            "masks": np.array_equal(ratios, first_ratios),
            "settings": report.settings == first.settings,
            "metrics": list(report.overall) == list(first.overall),
            "bins": list(report.bins) == list(first.bins),
        }
        wrong = [what for what, same in checks.items() if not same]
        if wrong:
            raise ValueError(
                f"{method} and {reference} were scored with different {' and '.join(wrong)};"
                " evaluate both again with the same data and parameters"
            )
