"""Methods side by side: ranks, and paired differences from a reference method on the same images.

Computed with every digit, then rounded to those that a metric declares: what is left is the same on every machine.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from pennet.comparison.seeds import Trials
from pennet.errors import UserError
from pennet.masks.bins import HOLE_BINS
from pennet.metrics.catalogue import find, in_order
from pennet.metrics.metric import Metric
from pennet.metrics.pixel import Values
from pennet.metrics.report import MetricResult, Report
from pennet.metrics.summary import paired_difference


@dataclass(frozen=True)
class Difference:
    """A method's values minus the reference's, image by image."""

    n: int
    mean: float
    ci_low: float | None
    """95 % bootstrap interval of the mean; null for a single image."""
    ci_high: float | None
    wilcoxon_p: str
    """Two significant digits, or `<0.001`."""


@dataclass(frozen=True)
class Entry:
    """One method's result for one metric."""

    result: MetricResult
    """The mean over seeds, where there are several."""
    seed_std: float | None
    """Standard deviation over seeds; null unless there are several."""
    rank: int | None
    """1 is the best, values with the same digits share a rank; null without a value."""
    difference: Difference | None
    """null for the reference itself and for metrics of whole sets (IS, FID, KID)."""


@dataclass(frozen=True)
class Section:
    """All images under one test protocol, or those of one hole-ratio bin."""

    protocol: str
    name: str
    """`overall`, or the bin's."""
    n: int
    entries: dict[str, dict[str, Entry]]
    """By metric, then by method."""


@dataclass(frozen=True)
class Comparison:
    reference: str
    """The method that differences are measured from."""
    methods: list[str]
    num_seeds: dict[str, int]
    """Trainings by method; 1 for a method that is not trained."""
    sections: list[Section]
    """Protocol by protocol, the headline first: of each `overall`, then the bins, if more than one has images."""

    @property
    def protocols(self) -> list[str]:
        return list(dict.fromkeys(section.protocol for section in self.sections))


def compare(trials: Mapping[str, Mapping[str, Trials]], reference: str, resamples: int, seed: int) -> Comparison:
    """Compares methods that were scored on the same images.

    Args:
        trials: by test protocol, the headline first, and by method, in the order of the table: its reports and tables, one
            a seed.
        reference: the method that differences are measured from: image by image, of the images' means over seeds.
        resamples: of the bootstrap intervals.
        seed: of the bootstrap intervals.

    Raises:
        ValueError: the methods were scored on different images or with different settings.
    """
    headline = next(iter(trials.values()))
    num_seeds = {method: len(of_method.reports) for method, of_method in headline.items()}
    sections = []
    for protocol, of_protocol in trials.items():
        sections += _sections(protocol, of_protocol, reference, resamples, seed)
    return Comparison(reference, list(headline), num_seeds, sections)


def _sections(protocol: str, trials: Mapping[str, Trials], reference: str, resamples: int, seed: int) -> list[Section]:
    _check_same_images(trials, reference)
    tables = {method: of_method.per_image for method, of_method in trials.items()}
    hole_ratio, bins = tables[reference].hole_ratio, trials[reference].reports[0].bins
    everything = np.ones(len(tables[reference].names), dtype=bool)
    parts = [("overall", everything, {method: t.overall(resamples, seed) for method, t in trials.items()})]
    if hole_ratio is not None and len(bins) > 1:
        for hole_bin in (b for b in HOLE_BINS if b.name in bins):
            results = {method: t.of_bin(hole_bin.name, resamples, seed) for method, t in trials.items()}
            parts.append((hole_bin.name, hole_bin.holds(hole_ratio), results))
    sections = []
    for name, members, results in parts:
        entries: dict[str, dict[str, Entry]] = {}
        for metric in in_order(results[reference]):
            declared = find(metric)
            rounded = {method: _rounded(results[method][metric].result, declared) for method in trials}
            ranks = _ranks(rounded, declared)
            entries[metric] = {}
            for method in trials:
                difference = None
                if method != reference and all(metric in tables[m].values for m in (method, reference)):
                    values, base = (tables[m].values[metric][members] for m in (method, reference))
                    difference = _difference(values, base, declared, resamples, seed)
                seed_std = _digits(results[method][metric].seed_std, declared)
                entries[metric][method] = Entry(rounded[method], seed_std, ranks[method], difference)
        sections.append(Section(protocol, name, int(members.sum()), entries))
    return sections


def _difference(values: Values, reference: Values, metric: Metric, resamples: int, seed: int) -> Difference | None:
    paired = paired_difference(values, reference, resamples, seed)
    if paired is None:
        return None
    low, high = (_digits(bound, metric) for bound in paired.interval or (None, None))
    p = "<0.001" if paired.wilcoxon_p < 0.001 else f"{paired.wilcoxon_p:.2g}"
    return Difference(paired.n, metric.rounded(paired.mean), low, high, p)


def _rounded(result: MetricResult, metric: Metric) -> MetricResult:
    value, std, low, high = (_digits(part, metric) for part in (result.value, result.std, result.ci_low, result.ci_high))
    return dataclasses.replace(result, value=value, std=std, ci_low=low, ci_high=high)


def _digits(value: float | None, metric: Metric) -> float | None:
    return None if value is None else metric.rounded(value)


def _ranks(results: Mapping[str, MetricResult], metric: Metric) -> dict[str, int | None]:
    """1 plus the number of methods that are strictly better."""
    sign = -1 if metric.better == "higher" else 1
    values = {method: sign * r.value for method, r in results.items() if r.value is not None}
    return {
        method: 1 + sum(other < values[method] for other in values.values()) if method in values else None
        for method in results
    }


def _metric_names(report: Report) -> set[tuple[str, str]]:
    """Every metric of every section, those without a value included."""
    names = {("overall", metric) for metric in report.overall}
    return names | {(name, metric) for name, hole_bin in report.bins.items() for metric in hole_bin.metrics}


def _check_same_images(trials: Mapping[str, Trials], reference: str) -> None:
    first, first_table = trials[reference].reports[0], trials[reference].tables[0]
    for method, of_method in trials.items():
        for report, table in zip(of_method.reports, of_method.tables, strict=True):
            ratios, first_ratios = (np.empty(0) if t.hole_ratio is None else t.hole_ratio for t in (table, first_table))
            checks = {
                "images": table.names == first_table.names and report.num_images == len(table.names),
                "masks": np.array_equal(ratios, first_ratios),
                "settings": report.settings == first.settings,
                "metrics": _metric_names(report) == _metric_names(first),
                "bins": set(report.bins) == set(first.bins),
            }
            wrong = [what for what, same in checks.items() if not same]
            if wrong:
                raise UserError(
                    f"{method} and {reference} were scored with different {' and '.join(wrong)};"
                    " evaluate both again with the same data and parameters"
                )
