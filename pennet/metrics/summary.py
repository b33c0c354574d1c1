"""From one value per image to statements about a method: intervals, hole-ratio bins, paired comparisons."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pennet.metrics.pixel import Values

CONFIDENCE = 0.95
_CHUNK = 1 << 20  # resampled values in memory at a time


class Interval(NamedTuple):
    low: float
    high: float


class HoleBin(NamedTuple):
    """Hole ratios above `low` and up to `high`, as Liu et al. (Partial convolutions, 2018) group them."""

    low: float
    high: float

    @property
    def name(self) -> str:
        return f"{round(100 * self.low)}-{round(100 * self.high)}%"

    def holds(self, hole_ratio: Values) -> NDArray[np.bool_]:
        return (hole_ratio > self.low) & (hole_ratio <= self.high)


HOLE_BINS = (
    HoleBin(0.01, 0.1),
    HoleBin(0.1, 0.2),
    HoleBin(0.2, 0.3),
    HoleBin(0.3, 0.4),
    HoleBin(0.4, 0.5),
    HoleBin(0.5, 0.6),
)


class PairedDifference(NamedTuple):
    """How one method's values differ from another's on the same images."""

    n: int
    """Images on which both values are finite."""
    mean: float
    interval: Interval | None
    wilcoxon_p: float
    """Two-sided Wilcoxon signed-rank test; 1 where every difference is 0."""


def bootstrap_interval(values: Values, resamples: int, seed: int) -> Interval | None:
    """95 % percentile bootstrap interval of the mean; None for fewer than two values.

    Args:
        values: (N,), finite.
        resamples: how often N values are drawn with replacement.
        seed: of the draws.

    Source: Efron and Tibshirani, An introduction to the bootstrap, 1993, chapter 13.
    """
    count = len(values)
    if count < 2:
        return None
    generator = np.random.default_rng(seed)
    chunk = max(1, _CHUNK // count)
    means = [
        values[generator.integers(0, count, (min(chunk, resamples - done), count))].mean(axis=1)
        for done in range(0, resamples, chunk)
    ]
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(np.concatenate(means), [tail, 1 - tail])
    return Interval(float(low), float(high))


def paired_difference(values: Values, reference: Values, resamples: int, seed: int) -> PairedDifference | None:
    """`values - reference`, image by image; None if no image has both values.

    Args:
        values: (N,).
        reference: (N,), the same images in the same order.
        resamples: of the interval.
        seed: of the interval.

    Raises:
        ValueError: different numbers of images.

    Source: Wilcoxon, Individual comparisons by ranking methods, 1945.
    """
    if values.shape != reference.shape:
        raise ValueError(f"paired values must be of the same images, got {len(values)} and {len(reference)}")
    both = np.isfinite(values) & np.isfinite(reference)
    differences = values[both] - reference[both]
    if len(differences) == 0:
        return None
    p = 1.0
    if np.any(differences != 0):
        from scipy.stats import wilcoxon

        p = float(wilcoxon(differences).pvalue)
    interval = bootstrap_interval(differences, resamples, seed)
    return PairedDifference(len(differences), float(differences.mean()), interval, p)
