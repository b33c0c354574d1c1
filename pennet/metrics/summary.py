"""From one value per image to statements about a method: intervals, hole-ratio bins, paired comparisons."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pennet.metrics.pixel import Values

CONFIDENCE = 0.95
JACKKNIFE_GROUPS = 20
_CHUNK = 1 << 20  # resampled values in memory at a time


class Interval(NamedTuple):
    low: float
    high: float


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

    It holds the mean of the values, which the quantiles of very few resamples may miss.

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
    mean = float(values.mean())
    return Interval(min(float(low), mean), max(float(high), mean))


def jackknife_groups(count: int, seed: int) -> list[NDArray[np.intp]]:
    """Image numbers 0 to `count` - 1 in 20 groups of a seeded shuffle, as equal as can be; groups of one below 20."""
    order = np.random.default_rng(seed).permutation(count)
    return np.array_split(order, min(JACKKNIFE_GROUPS, count))


def jackknife_interval(value: float, without: Sequence[float]) -> Interval | None:
    """95 % delete-a-group jackknife interval, value ± t · SE; None for fewer than two groups.

    SE² = (G - 1) / G · Σ (vᵢ - v̄)², t with G - 1 degrees of freedom. For statistics of a whole set (IS, FID, KID): a
    bootstrap draws images twice, which these mistake for a distribution with less variety.

    Args:
        value: the statistic of all images.
        without: the statistic with each of the G groups of `jackknife_groups` left out.

    Source: Efron and Tibshirani, An introduction to the bootstrap, 1993, chapter 11; Kott, The delete-a-group jackknife,
    Journal of Official Statistics 17, 2001.
    """
    count = len(without)
    if count < 2:
        return None
    from scipy.stats import t

    error = float(np.sqrt((count - 1) * np.var(without)))
    half = float(t.ppf((1 + CONFIDENCE) / 2, count - 1)) * error
    return Interval(value - half, value + half)


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
