"""Several trainings of one method as one result: the mean over seeds, and how far the seeds are apart."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pennet.masks.bins import HOLE_BINS
from pennet.metrics.distribution import INTERVAL_NOTE
from pennet.metrics.per_image import PerImage
from pennet.metrics.pixel import Values
from pennet.metrics.report import MetricResult, Report
from pennet.metrics.summary import bootstrap_interval


@dataclass(frozen=True)
class SeedMean:
    """One metric of one method, over its seeds."""

    result: MetricResult
    """Its value is the mean over seeds. Of several seeds, value, interval and n are those of the images' means over seeds,
    where they are finite for every seed; of IS, FID and KID the spread and the interval are left out."""
    seed_std: float | None
    """Standard deviation over seeds (n - 1); null for a single one, and for methods that are not trained."""


@dataclass(frozen=True)
class Trials:
    """One method's results, one entry a seed; a method that is not trained has one."""

    reports: Sequence[Report]
    tables: Sequence[PerImage]

    @property
    def per_image(self) -> PerImage:
        """Every image's mean over seeds, for the metrics that every seed has."""
        first = self.tables[0]
        common = [metric for metric in first.values if all(metric in table.values for table in self.tables)]
        values = {metric: np.mean([table.values[metric] for table in self.tables], axis=0) for metric in common}
        return PerImage(first.names, first.hole_ratio, values)

    def overall(self, resamples: int, seed: int) -> dict[str, SeedMean]:
        """By metric, over all images.

        Args:
            resamples: of the bootstrap intervals.
            seed: of the bootstrap intervals.
        """
        return self._means([report.overall for report in self.reports], None, resamples, seed)

    def of_bin(self, name: str, resamples: int, seed: int) -> dict[str, SeedMean]:
        """By metric, over the images of a hole-ratio bin; arguments as for `overall`."""
        hole_ratio = self.tables[0].hole_ratio
        assert hole_ratio is not None  # else there are no bins
        members = next(hole_bin for hole_bin in HOLE_BINS if hole_bin.name == name).holds(hole_ratio)
        return self._means([report.bins[name].metrics for report in self.reports], members, resamples, seed)

    def _means(
        self, results: Sequence[Mapping[str, MetricResult]], members: NDArray[np.bool_] | None, resamples: int, seed: int
    ) -> dict[str, SeedMean]:
        if len(results) == 1:
            return {metric: SeedMean(result, None) for metric, result in results[0].items()}
        means = {}
        for metric in results[0]:
            trials = [of_seed[metric] for of_seed in results]
            without = [trial for trial in trials if trial.value is None]
            if without:
                means[metric] = SeedMean(without[0], None)
            elif all(metric in table.values for table in self.tables):
                values = np.array([table.values[metric] for table in self.tables])
                means[metric] = _mean_of_images(trials, values if members is None else values[:, members], resamples, seed)
            else:
                of_seeds = [trial.value for trial in trials if trial.value is not None]
                notes = [note for note in trials[0].notes if not note.startswith(INTERVAL_NOTE)]
                value = float(np.mean(of_seeds))
                mean = dataclasses.replace(trials[0], value=value, std=None, ci_low=None, ci_high=None, notes=notes)
                means[metric] = SeedMean(mean, float(np.std(of_seeds, ddof=1)))
        return means


def _mean_of_images(trials: Sequence[MetricResult], values: Values, resamples: int, seed: int) -> SeedMean:
    """The mean over seeds (rows of `values`) and over the images (columns) that are finite for every seed."""
    finite = np.isfinite(values).all(axis=0)
    left_out = int((~finite).sum())
    notes = trials[0].notes
    if any(trial.notes != notes for trial in trials):
        notes = [f"{left_out} without a finite value for every seed, left out of the mean"]
    if not finite.any():
        status = "undefined: no image has a finite value for every seed"
        mean = dataclasses.replace(trials[0], value=None, n=0, ci_low=None, ci_high=None, notes=notes, status=status)
        return SeedMean(mean, None)
    images = values[:, finite].mean(axis=0)
    low, high = bootstrap_interval(images, resamples, seed) or (None, None)
    value, n = float(images.mean()), int(finite.sum())
    mean = dataclasses.replace(trials[0], value=value, n=n, ci_low=low, ci_high=high, notes=notes)
    return SeedMean(mean, float(np.std(values[:, finite].mean(axis=1), ddof=1)))
