import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import t
from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric
from torch_fidelity.metric_isc import isc_features_to_metric
from torch_fidelity.metric_kid import kid_features_to_metric

import pennet.metrics.distribution as distribution
from pennet.metrics.distribution import (
    inception_score,
    inception_scores_without,
    kernel_distance,
    kernel_distances_without,
)
from pennet.metrics.frechet import frechet_distance, frechet_jackknife
from pennet.metrics.summary import jackknife_groups, jackknife_interval

RELATIVE = 1e-3


def _features(count: int, size: int, seed: int, shift: float = 0.0) -> NDArray[np.float32]:
    generator = np.random.default_rng(seed)
    mix = np.random.default_rng(99).normal(size=(size, size)) / np.sqrt(size)
    return (generator.normal(size=(count, size)) @ mix + shift).astype(np.float32)


@pytest.mark.parametrize(("count", "splits"), [(200, 10), (37, 10), (10, 10), (25, 1), (7, 3)])
def test_inception_score_against_torch_fidelity(count: int, splits: int) -> None:
    logits = 3 * _features(count, 50, seed=count)
    expected = isc_features_to_metric(torch.from_numpy(logits), splits=splits, shuffle=True, rng_seed=7)
    mean, std = inception_score(logits, splits, seed=7)
    assert mean == pytest.approx(expected["inception_score_mean"], rel=RELATIVE)
    assert std == pytest.approx(expected["inception_score_std"], rel=RELATIVE, abs=1e-9)


def test_inception_score_of_certain_and_varied_classes_is_their_number() -> None:
    logits = 1000 * np.eye(5, dtype=np.float32)[np.arange(500) % 5]
    assert inception_score(logits, 1, seed=0).mean == pytest.approx(5, rel=1e-6)


def test_inception_score_of_equal_predictions_is_one() -> None:
    assert inception_score(np.ones((40, 9), np.float32), 4, seed=0) == pytest.approx((1, 0))


def test_inception_score_refuses_fewer_images_than_splits() -> None:
    with pytest.raises(ValueError, match="each of its 10 splits, got 9"):
        inception_score(np.zeros((9, 4), np.float32), 10, seed=0)


@pytest.mark.parametrize(("count_a", "count_b", "size"), [(300, 300, 20), (120, 300, 40), (60, 50, 40)])
def test_frechet_distance_against_torch_fidelity(count_a: int, count_b: int, size: int) -> None:
    a, b = _features(count_a, size, 1, shift=0.3), _features(count_b, size, 2)
    statistics = [fid_features_to_statistics(torch.from_numpy(x.astype(np.float64))) for x in (a, b)]
    expected = fid_statistics_to_metric(*statistics, verbose=False)["frechet_inception_distance"]
    assert frechet_distance(a, b) == pytest.approx(expected, rel=RELATIVE)


def test_frechet_distance_without_full_rank_against_torch_fidelity() -> None:
    a, b = _features(12, 64, 1, shift=0.5), _features(9, 64, 2)
    statistics = [fid_features_to_statistics(torch.from_numpy(x.astype(np.float64))) for x in (a, b)]
    expected = fid_statistics_to_metric(*statistics, verbose=False)["frechet_inception_distance"]
    assert frechet_distance(a, b) == pytest.approx(expected, rel=RELATIVE)


def test_frechet_distance_of_equal_covariances_is_the_squared_mean_distance() -> None:
    a = _features(100, 16, 1).astype(np.float64)
    shift = np.linspace(-1, 2, 16)
    assert frechet_distance(a + shift, a) == pytest.approx((shift**2).sum(), rel=1e-9)


def test_frechet_distance_of_scaled_features_is_the_closed_form() -> None:
    a = _features(100, 16, 1).astype(np.float64)
    a -= a.mean(axis=0)
    trace = np.trace(np.cov(a, rowvar=False))
    assert frechet_distance(3 * a, a) == pytest.approx((3 - 1) ** 2 * trace, rel=1e-9)


def test_frechet_distance_of_a_set_to_itself_is_zero() -> None:
    for count in (2, 10, 100):
        a = _features(count, 32, 3)
        assert frechet_distance(a, a) == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize(("count_a", "count_b", "subset_size"), [(100, 100, 50), (60, 90, 30), (5, 5, 2)])
def test_kernel_distance_against_torch_fidelity(count_a: int, count_b: int, subset_size: int) -> None:
    a, b = _features(count_a, 24, 1, shift=0.4), _features(count_b, 24, 2)
    options = {"kid_subsets": 20, "kid_subset_size": subset_size, "rng_seed": 7, "verbose": False}
    expected = kid_features_to_metric(
        torch.from_numpy(a.astype(np.float64)), torch.from_numpy(b.astype(np.float64)), **options
    )
    mean, std = kernel_distance(a, b, 20, subset_size, seed=7)
    assert mean == pytest.approx(expected["kernel_inception_distance_mean"], rel=RELATIVE)
    assert std == pytest.approx(expected["kernel_inception_distance_std"], rel=RELATIVE)


def test_kernel_distance_does_not_depend_on_how_much_is_computed_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    a, b = _features(40, 24, 1, shift=0.4), _features(30, 24, 2)
    whole = kernel_distance(a, b, 10, 15, seed=7)
    monkeypatch.setattr(distribution, "_KERNEL_ENTRIES", 1)
    assert kernel_distance(a, b, 10, 15, seed=7) == pytest.approx(whole, rel=1e-9)


def test_kernel_distance_is_unbiased() -> None:
    estimates = [kernel_distance(_features(20, 8, i), _features(20, 8, 1000 + i), 1, 20, seed=0).mean for i in range(300)]
    standard_error = np.std(estimates) / np.sqrt(len(estimates))
    assert abs(np.mean(estimates)) < 3 * standard_error


def test_kernel_distance_subset_is_at_most_the_smaller_set() -> None:
    a, b = _features(6, 8, 1, shift=1), _features(30, 8, 2)
    assert kernel_distance(a, b, 5, 50, seed=0) == kernel_distance(a, b, 5, 6, seed=0)


@pytest.mark.parametrize("count", [0, 1])
def test_distances_refuse_sets_without_spread(count: int) -> None:
    a, b = _features(count, 8, 1), _features(10, 8, 2)
    with pytest.raises(ValueError, match="at least 2 images"):
        frechet_distance(a, b)
    with pytest.raises(ValueError, match="at least 2 images"):
        kernel_distance(a, b, 5, 5, seed=0)


@settings(max_examples=20, deadline=None, derandomize=True)
@given(seed=st.integers(0, 10_000), count=st.integers(2, 40), size=st.integers(1, 30))
def test_frechet_distance_is_symmetric_and_ignores_order(seed: int, count: int, size: int) -> None:
    a, b = _features(count, size, seed), _features(count + 3, size, seed + 1, shift=0.5)
    distance = frechet_distance(a, b)
    assert frechet_distance(b, a) == pytest.approx(distance, rel=1e-6)
    order = np.random.default_rng(seed).permutation(count)
    assert frechet_distance(a[order], b) == pytest.approx(distance, rel=1e-6)


@settings(max_examples=15, deadline=None, derandomize=True)
@given(seed=st.integers(0, 10_000), low=st.floats(0.3, 1), factor=st.floats(1.5, 4))
def test_distances_grow_with_the_shift(seed: int, low: float, factor: float) -> None:
    base = _features(60, 10, seed)
    near, far = _features(60, 10, seed + 1, shift=low), _features(60, 10, seed + 1, shift=low * factor)
    assert frechet_distance(near, base) < frechet_distance(far, base)
    assert kernel_distance(near, base, 1, 60, seed=0).mean < kernel_distance(far, base, 1, 60, seed=0).mean


@settings(max_examples=20, deadline=None, derandomize=True)
@given(seed=st.integers(0, 10_000), count=st.integers(2, 40), size=st.integers(1, 30))
def test_distances_of_a_set_to_itself_are_least(seed: int, count: int, size: int) -> None:
    """FID is 0. Of KID what remains is the kernel's mean minus that of its diagonal, twice over n - 1: never above 0."""
    a = _features(count, size, seed)
    assert frechet_distance(a, a) == pytest.approx(0, abs=1e-6)
    kernel = (a.astype(np.float64) @ a.T.astype(np.float64) / size + 1) ** 3
    expected = 2 * (kernel.mean() - np.trace(kernel) / count) / (count - 1)
    assert expected <= 0
    assert kernel_distance(a, a, 1, count, seed=0).mean == pytest.approx(expected, rel=1e-6, abs=1e-9)


@settings(max_examples=20, deadline=None, derandomize=True)
@given(seed=st.integers(0, 10_000), count=st.integers(2, 40), size=st.integers(1, 30))
def test_kernel_distance_of_all_is_symmetric_and_ignores_order(seed: int, count: int, size: int) -> None:
    a, b = _features(count, size, seed), _features(count, size, seed + 1, shift=0.5)
    distance = kernel_distance(a, b, 1, count, seed=0).mean
    assert kernel_distance(b, a, 1, count, seed=0).mean == pytest.approx(distance, rel=1e-6, abs=1e-9)
    order = np.random.default_rng(seed).permutation(count)
    assert kernel_distance(a[order], b, 1, count, seed=0).mean == pytest.approx(distance, rel=1e-6, abs=1e-9)


@pytest.mark.parametrize("count", [3, 19, 47])
def test_scores_without_a_group_are_those_of_the_other_images(count: int) -> None:
    a, b = _features(count, 8, 1, shift=0.4), _features(count, 8, 2)
    groups = jackknife_groups(count, seed=0)
    others = [(np.delete(a, group, axis=0), np.delete(b, group, axis=0)) for group in groups]
    expected = [kernel_distance(x, y, 1, len(x), seed=0).mean for x, y in others]
    np.testing.assert_allclose(kernel_distances_without(a, b, groups), expected, rtol=1e-9)
    expected = [inception_score(x, 1, seed=0).mean for x, _ in others]
    np.testing.assert_allclose(inception_scores_without(a, 1, 0, groups), expected, rtol=1e-9)


@pytest.mark.parametrize("count", [3, 19, 47])
def test_frechet_distances_of_few_images_without_a_group_are_those_of_the_others(count: int) -> None:
    a, b = _features(count, 47, 1, shift=0.4), _features(count, 47, 2)
    groups = jackknife_groups(count, seed=0)
    expected = [frechet_distance(np.delete(a, group, axis=0), np.delete(b, group, axis=0)) for group in groups]
    distance, without = frechet_jackknife(a, b, groups)
    assert distance == frechet_distance(a, b)
    np.testing.assert_allclose(without, expected, rtol=1e-9)


def _gaussians(
    mean_a: NDArray[np.float64], a: NDArray[np.float64], mean_b: NDArray[np.float64], b: NDArray[np.float64]
) -> float:
    """The definition, with a matrix root."""
    from scipy.linalg import sqrtm

    return float(np.square(mean_a - mean_b).sum() + np.trace(a + b - 2 * sqrtm(a @ b).real))


def _by_definition(a: NDArray[np.float32], b: NDArray[np.float32], left_out: NDArray[np.intp]) -> float:
    x, y = (np.delete(features, left_out, axis=0).astype(np.float64) for features in (a, b))
    return _gaussians(x.mean(axis=0), np.cov(x, rowvar=False), y.mean(axis=0), np.cov(y, rowvar=False))


def test_frechet_distance_of_many_images_is_the_definition() -> None:
    """More images than features, the mean far from zero beside the spread, and more rows than are summed at once."""
    count = 5000
    a, b = _features(count, 12, 1, shift=300.0), _features(count, 12, 2, shift=300.5)
    expected = _by_definition(a, b, np.empty(0, np.intp))
    assert frechet_distance(a, b) == pytest.approx(expected, rel=1e-9)
    assert frechet_jackknife(a, b, jackknife_groups(count, seed=0))[0] == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(("count", "tolerance"), [(50, 0.1), (100, 0.03), (200, 0.02), (2000, 0.01)])
@pytest.mark.parametrize("noise", [None, 0.3, 0.03], ids=["independent", "alike", "nearly the same"])
def test_first_order_jackknife_is_as_wide_as_the_exact_one(count: int, tolerance: float, noise: float | None) -> None:
    """Of 40 features, whose variances fall by 1,600; a set whose pictures are alike stands for composites and truths."""
    generator = np.random.default_rng(count)
    scales, (turn, turn_b) = 1 / np.arange(1, 41), np.linalg.qr(generator.normal(size=(2, 40, 40)))[0]
    widths = []
    for _ in range(4):
        a = np.abs(generator.normal(size=(count, 40)) * scales @ turn)  # skewed, as features are
        b = np.abs(generator.normal(size=(count, 40)) * 1.2 * scales @ turn_b)
        if noise is not None:
            b = a + noise * (0.1 + a.std() * generator.normal(size=a.shape) * scales[::-1] ** 0.5)
        groups = jackknife_groups(count, seed=1)
        distance, without = frechet_jackknife(a, b, groups)
        exact = [_by_definition(a, b, group) for group in groups]
        assert distance == pytest.approx(_by_definition(a, b, np.empty(0, np.intp)), rel=1e-6)
        assert all(np.array(without) <= np.array(exact) + 1e-12)
        intervals = jackknife_interval(distance, without), jackknife_interval(distance, exact)
        widths.append([each.high - each.low for each in intervals if each is not None])
    first_order, exactly = np.mean(widths, axis=0)
    assert first_order == pytest.approx(exactly, rel=tolerance)


@pytest.mark.parametrize("size", [3, 40])
def test_jackknife_of_a_set_to_itself_has_no_width(size: int) -> None:
    a = _features(40, size, 1)
    distance, without = frechet_jackknife(a, a, jackknife_groups(40, seed=0))
    assert [distance, *without] == pytest.approx([0] * 21, abs=1e-9)


def test_frechet_distances_with_features_that_say_nothing_are_those_without_them() -> None:
    """Many images, and covariances without full rank: a feature that is always 0, in one set or both, and one twice."""
    a, b = _features(200, 10, 1, shift=0.4), _features(200, 10, 2)
    zero, groups = np.zeros((200, 1), np.float32), jackknife_groups(200, seed=0)
    dead = [np.hstack([zero, features, zero]) for features in (a, b)]
    assert frechet_distance(*dead) == pytest.approx(frechet_distance(a, b), rel=1e-7)
    for dead_or_not, value in zip(frechet_jackknife(*dead, groups)[1], frechet_jackknife(a, b, groups)[1], strict=True):
        assert dead_or_not == pytest.approx(value, rel=1e-7)
    # A feature that is 0 in `a` alone adds its mean and variance in `b`.
    extra = _features(200, 1, 3, shift=2.0)
    expected = frechet_distance(a, b) + float(np.square(extra.mean()) + extra.var(ddof=1))
    for x, y in [(a, b), (b, a)]:
        assert frechet_distance(np.hstack([x, zero]), np.hstack([y, extra])) == pytest.approx(expected, rel=1e-5)
    # A feature twice is the same feature, longer by the root of two.
    twice = [np.hstack([features, features[:, :1]]) for features in (a, b)]
    longer = [np.hstack([features[:, :1].astype(np.float64) * np.sqrt(2), features[:, 1:]]) for features in (a, b)]
    assert frechet_distance(*twice) == pytest.approx(frechet_distance(*longer), rel=1e-6)
    assert frechet_distance(np.zeros((9, 3)), np.zeros((9, 3))) == 0
    assert frechet_jackknife(np.zeros((9, 3)), np.zeros((9, 3)), jackknife_groups(9, seed=0)) == (0, [0] * 9)


def test_kernel_distances_of_many_images_are_means_over_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    a, b = _features(400, 6, 1, shift=0.5), _features(400, 6, 2)
    groups = jackknife_groups(400, seed=0)
    of_all_pairs = kernel_distances_without(a, b, groups)
    monkeypatch.setattr(distribution, "_SLICE_IMAGES", 110)  # four slices, five images of each group in each
    of_slices = kernel_distances_without(a, b, groups)
    for group, distance in zip(groups, of_slices, strict=True):
        others = [np.concatenate([g[5 * i : 5 * i + 5] for g in groups if g is not group]) for i in range(4)]
        expected = np.mean([kernel_distance(a[rows], b[rows], 1, 95, seed=0).mean for rows in others])
        assert distance == pytest.approx(expected, rel=1e-9)
    half_widths = []
    for without in (of_all_pairs, of_slices):
        interval = jackknife_interval(0.0, without)
        assert interval is not None
        half_widths.append(interval.high)
    assert half_widths[1] == pytest.approx(half_widths[0], rel=0.1)


def test_inception_scores_without_a_group_keep_the_splits() -> None:
    logits, splits, seed = 3 * _features(30, 6, 1), 3, 7
    order = np.random.RandomState(seed).permutation(30).reshape(splits, 10)
    groups = jackknife_groups(30, seed=0)
    for group, score in zip(groups, inception_scores_without(logits, splits, seed, groups), strict=True):
        parts = [logits[[i for i in part if i not in group]] for part in order]
        assert score == pytest.approx(np.mean([inception_score(part, 1, seed=0).mean for part in parts]), rel=1e-9)


def test_scores_without_a_group_refuse_to_be_left_with_nothing() -> None:
    a, groups = _features(2, 8, 1), jackknife_groups(2, seed=0)
    with pytest.raises(ValueError, match="needs 2 other images"):
        kernel_distances_without(a, a, groups)
    with pytest.raises(ValueError, match="has no image left"):
        inception_scores_without(a, 2, 0, groups)


def test_jackknife_intervals_of_the_distances_are_as_wide_as_samples_are_apart() -> None:
    """The standard error against what it estimates: the standard deviation over fresh samples."""
    count, size = 80, 4
    values, errors = [], []
    for i in range(150):
        a, b = _features(count, size, 2 * i, shift=0.8), _features(count, size, 2 * i + 1)
        groups = jackknife_groups(count, seed=i)
        pair = (frechet_distance(a, b), kernel_distance(a, b, 1, count, seed=0).mean)
        values.append(pair)
        without = (frechet_jackknife(a, b, groups)[1], kernel_distances_without(a, b, groups))
        intervals = [jackknife_interval(value, left) for value, left in zip(pair, without, strict=True)]
        errors.append([(i.high - i.low) / 2 / t.ppf(0.975, len(groups) - 1) for i in intervals if i is not None])
    np.testing.assert_allclose(np.mean(errors, axis=0), np.std(values, axis=0), rtol=0.2)
