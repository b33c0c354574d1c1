"""Several trainings of one method as one result: the mean over seeds, and how far the seeds are apart."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pennet.metrics.per_image import PerImage
from pennet.metrics.report import MetricResult, Report
from pennet.metrics.summary import HOLE_BINS, bootstrap_interval


@dataclass(frozen=True)
class SeedMean:
    """One metric of one method, over its seeds."""

    result: MetricResult
    """Its value is the mean over seeds. Of several seeds, the interval is that of the images' means over seeds, and the
    spread over splits or subsets is left out."""
    seed_std: float | None
    """Standard deviation over seeds (n - 1); null for a single one, and for methods that are not trained."""


@dataclass(frozen=True)
class Trials:
    """One method's results, one entry a seed; a method that is not trained has one."""

    reports: Sequence[Report]
    tables: Sequence[PerImage]

    @property
    def per_image(self) -> PerImage:
        """Every image's mean over seeds."""
        first = self.tables[0]
        values = {metric: np.mean([table.values[metric] for table in self.tables], axis=0) for metric in first.values}
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
        per_image = self.per_image.values
        means = {}
        for metric in results[0]:
            trials = [of_seed[metric] for of_seed in results]
            values = [trial.value for trial in trials if trial.value is not None]
            if len(values) < len(trials):
                means[metric] = SeedMean(next(trial for trial in trials if trial.value is None), None)
                continue
            interval = None
            if metric in per_image:
                images = per_image[metric] if members is None else per_image[metric][members]
                interval = bootstrap_interval(images[np.isfinite(images)], resamples, seed)
            low, high = interval or (None, None)
            mean = dataclasses.replace(trials[0], value=float(np.mean(values)), std=None, ci_low=low, ci_high=high)
            means[metric] = SeedMean(mean, float(np.std(values, ddof=1)))
        return means
