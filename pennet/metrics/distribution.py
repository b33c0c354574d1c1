"""IS, FID and KID: scores of a set of images, from features or class scores of its members (FID: `frechet.py`)."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pennet.metrics.frechet import check_sets, frechet_distance, frechet_jackknife
from pennet.metrics.metric import Metric
from pennet.metrics.summary import JACKKNIFE_GROUPS, Interval, jackknife_interval

if TYPE_CHECKING:
    from pennet.config import EvaluateConfig
    from pennet.metrics.features import Features

Floats = NDArray[np.floating]
Rows = NDArray[np.intp]
_KERNEL_ENTRIES = 1 << 22  # 32 MiB
_SLICE_IMAGES = 2000
INTERVAL_NOTE = "interval: "
"""Start of the note that says how an interval was made, where it is no bootstrap of the mean."""


class MeanStd(NamedTuple):
    mean: float
    std: float
    """Population standard deviation over splits or subsets."""


class SetScore(NamedTuple):
    """A metric of a whole set, with what makes it doubtful."""

    value: float
    std: float | None
    interval: Interval | None
    notes: list[str]


class Undefined(ValueError):
    """Why a set has no such score."""


def inception_score(logits: Floats, splits: int, seed: int) -> MeanStd:
    """exp(mean KL(p(y|x) ‖ p(y))) over `splits` parts of the shuffled set: from 1 to the number of classes.

    Args:
        logits: (N,K) class scores before the softmax.
        splits: parts, each with a score of its own.
        seed: of the shuffle.

    Raises:
        ValueError: fewer images than splits.

    Source: Salimans et al., Improved techniques for training GANs, 2016. Shuffle as in torch-fidelity.
    """
    count = len(logits)
    if count < splits:
        raise ValueError(f"the Inception Score needs an image for each of its {splits} splits, got {count}")
    scores = _inception_scores(_sums_of_splits(logits, splits, seed, [np.arange(count)]))
    return MeanStd(float(np.mean(scores)), float(np.std(scores)))


def inception_scores_without(logits: Floats, splits: int, seed: int, groups: Sequence[Rows]) -> list[float]:
    """`inception_score`'s mean with each group of images left out in turn: every other image stays in its split.

    Args:
        logits: (N,K).
        splits: as in `inception_score`.
        seed: as in `inception_score`.
        groups: every image is in just one.

    Raises:
        ValueError: a split has no image left.
    """
    sums = _sums_of_splits(logits, splits, seed, groups)
    means = []
    for i, group in enumerate(groups):
        others = [np.delete(of_cells, i, axis=1) for of_cells in sums]
        if others[0].sum(axis=1).min() == 0:
            raise ValueError(f"a split of the Inception Score has no image left without {len(group)} of {len(logits)}")
        means.append(float(np.mean(_inception_scores(_SplitSums(*others)))))
    return means


def kernel_distance(fake: Floats, real: Floats, subsets: int, subset_size: int, seed: int) -> MeanStd:
    """KID: unbiased squared maximum mean discrepancy under the kernel (x·y/D + 1)³, mean over random subsets.

    Args:
        fake: (N,D).
        real: (M,D).
        subsets: number of random subsets.
        subset_size: images in each, drawn without replacement; at most the smaller set's size.
        seed: of the draws.

    Returns:
        Mean and population standard deviation. Unbiased, so equal distributions give values around 0,
        negative ones too.

    Raises:
        ValueError: fewer than two images in a set, or different numbers of features.

    Source: Bińkowski et al., Demystifying MMD GANs, 2018. Draws as in torch-fidelity.
    """
    check_sets(fake, real)
    size = min(subset_size, len(fake), len(real))
    if size < 2:
        raise ValueError(f"KID needs subsets of at least 2 images, got {size}")
    generator = _legacy_generator(seed)
    within_fake, within_real, between = _kernel(fake, fake), _kernel(real, real), _kernel(fake, real)
    estimates = []
    for _ in range(subsets):
        rows = generator.choice(len(fake), size, replace=False)
        columns = generator.choice(len(real), size, replace=False)
        similar = _mean_off_diagonal(within_fake(rows, rows)) + _mean_off_diagonal(within_real(columns, columns))
        estimates.append(similar - 2 * between(rows, columns).mean())
    return MeanStd(float(np.mean(estimates)), float(np.std(estimates)))


def kernel_distances_without(fake: Floats, real: Floats, groups: Sequence[Rows]) -> list[float]:
    """The unbiased estimate with each group of pairs left out in turn: what KID's subsets estimate.

    It is made of all pairs of images up to 2,000 images. Above, a part of every group makes a slice of 2,000 images at most,
    and the mean over the slices takes its place: as unbiased, and linear in N. The kernel is summed once, by blocks of two
    groups; leaving a group out is then a subtraction.

    Args:
        fake: (N,D).
        real: (N,D), of the same N images.
        groups: every image is in just one.

    Raises:
        ValueError: fewer than two images are left, or the sets do not fit each other.

    Source: the mean over slices is the B-test's (Zaremba, Gretton and Blaschko, B-test: a non-parametric, low variance
    kernel two-sample test, 2013).
    """
    check_sets(fake, real)
    count = len(fake)
    if min(count - len(group) for group in groups) < 2:
        raise ValueError(f"KID without a group needs 2 other images, got {count} in {len(groups)} groups")
    num_slices = -(-count // _SLICE_IMAGES)
    slices = zip(*(np.array_split(group, num_slices) for group in groups), strict=True)
    distances: Floats = np.mean([_distances_in_slice(fake, real, parts) for parts in slices], axis=0)
    return distances.tolist()


def _distances_in_slice(fake: Floats, real: Floats, groups: Sequence[Rows]) -> list[float]:
    """The estimate from all pairs of the images in `groups`, without each of these in turn."""
    sizes = [len(group) for group in groups]
    parts = [(fake[group].astype(np.float64), real[group].astype(np.float64)) for group in groups]
    within, between = np.zeros((2, len(groups), len(groups)))
    for i, (x, y) in enumerate(parts):
        for j, (u, v) in enumerate(parts):
            between[i, j] = _polynomial(x, v).sum()
            if i <= j:
                kernels = _polynomial(x, u), _polynomial(y, v)
                diagonals = sum(np.trace(kernel) for kernel in kernels) if i == j else 0.0
                within[i, j] = within[j, i] = sum(kernel.sum() for kernel in kernels) - diagonals
    distances = []
    for i in range(len(groups)):
        size = sum(sizes) - sizes[i]
        similar, mixed = (blocks.sum() - blocks[i].sum() - blocks[:, i].sum() + blocks[i, i] for blocks in (within, between))
        distances.append(float(similar / (size * (size - 1)) - 2 * mixed / size**2))
    return distances


class _SplitSums(NamedTuple):
    """Sums over the images of each split and group: what a split's score is made of."""

    num_images: Floats
    """(S,G)"""
    p: Floats
    """(S,G,K), Σ p"""
    p_log_p: Floats
    """(S,G), Σ p log p, over the classes too"""


def _sums_of_splits(logits: Floats, splits: int, seed: int, groups: Sequence[Rows]) -> _SplitSums:
    from scipy.special import log_softmax

    count, shape = len(logits), (splits, len(groups))
    order = _legacy_generator(seed).permutation(count)
    group_of = np.empty(count, np.intp)
    for i, group in enumerate(groups):
        group_of[group] = i
    sums = _SplitSums(np.zeros(shape), np.zeros((*shape, logits.shape[1])), np.zeros(shape))
    for i in range(splits):
        part = order[i * count // splits : (i + 1) * count // splits]
        for j in range(len(groups)):
            log_p = log_softmax(logits[part[group_of[part] == j]].astype(np.float64), axis=1)
            p = np.exp(log_p)
            sums.num_images[i, j], sums.p[i, j], sums.p_log_p[i, j] = len(p), p.sum(axis=0), (p * log_p).sum()
    return sums


def _inception_scores(sums: _SplitSums) -> Floats:
    """Of every split: exp(Σ p log p / n - Σ m log m), m the mean of p."""
    count = sums.num_images.sum(axis=1)
    marginal = sums.p.sum(axis=1) / count[:, None]
    # A class that no image of the split can have adds 0.
    log_marginal = np.log(marginal, out=np.zeros_like(marginal), where=marginal > 0)
    scores: Floats = np.exp(sums.p_log_p.sum(axis=1) / count - (marginal * log_marginal).sum(axis=1))
    return scores


def _polynomial(a: Floats, b: Floats) -> Floats:
    """The kernel of all rows of two sets."""
    kernel: Floats = a.astype(np.float64, copy=False) @ b.T.astype(np.float64, copy=False)
    kernel /= a.shape[1]
    kernel += 1
    kernel *= kernel * kernel  # `** 3` calls pow for each
    return kernel


def _kernel(x: Floats, y: Floats) -> Callable[[Rows, Rows], Floats]:
    """The polynomial kernel between chosen rows of x and y; computed once for all if memory allows."""
    if len(x) * len(y) > _KERNEL_ENTRIES:
        return lambda rows, columns: _polynomial(x[rows], y[columns])
    whole = _polynomial(x, y)
    return lambda rows, columns: whole[np.ix_(rows, columns)]


def _mean_off_diagonal(kernel: Floats) -> float:
    return float((kernel.sum() - np.trace(kernel)) / (len(kernel) * (len(kernel) - 1)))


def _legacy_generator(seed: int) -> np.random.RandomState:
    # numpy's old generator, because torch-fidelity draws from it: the same seed gives the same score.
    return np.random.RandomState(seed)


# --- as metrics: the score of the composites in `fake` against their truths in `real` --------------------------------


def _inception(fake: Features, real: Features, groups: Sequence[Rows], config: EvaluateConfig) -> SetScore:
    count, splits = len(fake.logits), config.is_splits
    if count < splits:
        raise Undefined(f"{count} images are fewer than the {splits} splits")
    _check_finite(fake.logits)
    score, std = inception_score(fake.logits, splits, config.seed)
    notes = [f"{splits} splits"]
    if count < 10 * splits:
        notes.append(f"noise: n = {count} is below 10 x splits")
    try:
        without = inception_scores_without(fake.logits, splits, config.seed, groups)
    except ValueError:
        return SetScore(score, std, None, [*notes, "no interval: without a group of images a split has none left"])
    return _with_interval(score, std, notes, without, count, lowest=1.0)


def _frechet(fake: Features, real: Features, groups: Sequence[Rows], config: EvaluateConfig) -> SetScore:
    count, size = _size_of_pairs(fake, real), fake.features.shape[1]
    notes = [f"biased: n = {count} does not exceed the {size} features (rank-deficient); prefer KID"] * (count <= size)
    if count == 2:  # two must be left
        return _with_interval(frechet_distance(fake.features, real.features), None, notes, [], count, lowest=0.0)
    distance, without = frechet_jackknife(fake.features, real.features, groups)
    return _with_interval(distance, None, notes, without, count, lowest=0.0)


def _kernel_inception(fake: Features, real: Features, groups: Sequence[Rows], config: EvaluateConfig) -> SetScore:
    count = _size_of_pairs(fake, real)
    mean, std = kernel_distance(fake.features, real.features, config.kid_subsets, config.kid_subset_size, config.seed)
    without = kernel_distances_without(fake.features, real.features, groups) if count > 2 else []
    if config.kid_subset_size >= count:  # every subset is the whole set, so there is no spread
        return _with_interval(mean, None, [f"one subset of all {count} images"], without, count)
    notes = [f"{config.kid_subsets} subsets of {config.kid_subset_size} images"]
    return _with_interval(mean, std, notes, without, count)


def _size_of_pairs(fake: Features, real: Features) -> int:
    _check_finite(fake.features, real.features)
    if len(fake.features) < 2:
        raise Undefined("needs at least 2 images")
    return len(fake.features)


def _check_finite(*features: Floats) -> None:
    if not all(np.isfinite(of_set).all() for of_set in features):
        raise Undefined("features are not finite")


def _with_interval(
    value: float, std: float | None, notes: list[str], without: Sequence[float], count: int, lowest: float = -math.inf
) -> SetScore:
    """With the jackknife's interval, which ends at the least value that the metric can have."""
    interval = jackknife_interval(value, without)
    if interval is None:
        return SetScore(value, std, None, notes)
    notes = [*notes, f"{INTERVAL_NOTE}jackknife over {min(count, JACKKNIFE_GROUPS)} groups of images"]
    return SetScore(value, std, Interval(min(max(interval.low, lowest), value), interval.high), notes)


_EXTRACTORS = {"efflite0": "efflite0", "inception": "inception"}


def _configured(config: EvaluateConfig, side_px: int) -> Sequence[str]:
    return config.extractors


IS = Metric(
    name="is",
    heading="IS",
    better="higher",
    range="1 to 1000",
    digits=2,
    needs="features",
    function=_inception,
    variants=_EXTRACTORS,
    choose=_configured,
)
FID = Metric(
    name="fid",
    heading="FID",
    better="lower",
    range="0 upwards",
    digits=1,
    needs="features",
    function=_frechet,
    headline=True,
    variants=_EXTRACTORS,
    choose=_configured,
)
KID = Metric(
    name="kid",
    heading="KID",
    better="lower",
    range="about 0 upwards, may be negative",
    digits=4,
    needs="features",
    function=_kernel_inception,
    variants=_EXTRACTORS,
    choose=_configured,
)
