import numpy as np
import pytest
from scipy.stats import bootstrap, t, wilcoxon

from pennet.masks.bins import HOLE_BINS
from pennet.metrics.summary import (
    bootstrap_interval,
    jackknife_groups,
    jackknife_interval,
    paired_difference,
)


def _values(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).gamma(2, 1, count)


def test_bootstrap_interval_against_scipy() -> None:
    values = _values(80)
    expected = bootstrap((values,), np.mean, n_resamples=20_000, method="percentile", rng=1).confidence_interval
    interval = bootstrap_interval(values, 20_000, seed=2)
    np.testing.assert_allclose(interval, expected, atol=0.02 * values.std())


def test_bootstrap_interval_covers_the_true_mean_as_often_as_it_says() -> None:
    intervals = [bootstrap_interval(_values(50, seed), 500, seed) for seed in range(400)]
    covered = np.mean([i is not None and i.low <= 2 <= i.high for i in intervals])
    assert 0.90 <= covered <= 0.98


def test_bootstrap_interval_is_repeatable_and_needs_two_values() -> None:
    values = _values(30)
    assert bootstrap_interval(values, 100, seed=3) == bootstrap_interval(values, 100, seed=3)
    assert bootstrap_interval(values[:1], 100, seed=3) is None
    assert bootstrap_interval(np.full(5, 0.25), 100, seed=3) == (0.25, 0.25)


def test_bootstrap_interval_of_many_values_uses_every_resample() -> None:
    """More than fits in one chunk of resamples."""
    values = _values(600_000)
    interval = bootstrap_interval(values, 40, seed=0)
    assert interval is not None
    assert interval.low < values.mean() < interval.high


def test_bootstrap_interval_of_few_resamples_holds_the_mean() -> None:
    for seed in range(20):
        values = _values(9, seed)
        interval = bootstrap_interval(values, 1, seed)
        assert interval is not None
        assert interval.low <= values.mean() <= interval.high


@pytest.mark.parametrize("count", [2, 7, 20])
def test_jackknife_interval_of_the_mean_is_the_closed_form(count: int) -> None:
    """Groups of one: the standard error is s / sqrt(n), the interval that of Student's t."""
    values = _values(count)
    without = [np.delete(values, group).mean() for group in jackknife_groups(count, seed=3)]
    interval = jackknife_interval(values.mean(), without)
    expected = t.interval(0.95, count - 1, loc=values.mean(), scale=values.std(ddof=1) / np.sqrt(count))
    np.testing.assert_allclose(interval, expected, rtol=1e-9)


def test_jackknife_interval_covers_the_true_mean_as_often_as_it_says() -> None:
    covered = []
    for seed in range(400):
        values = _values(100, seed)
        without = [np.delete(values, group).mean() for group in jackknife_groups(100, seed)]
        interval = jackknife_interval(values.mean(), without)
        covered.append(interval is not None and interval.low <= 2 <= interval.high)
    assert 0.91 <= np.mean(covered) <= 0.98


def test_jackknife_interval_needs_two_groups() -> None:
    assert jackknife_interval(1.0, []) is None
    assert jackknife_interval(1.0, [1.0]) is None
    assert jackknife_interval(1.0, [2.0, 2.0]) == (1, 1)


@pytest.mark.parametrize(("count", "sizes"), [(3, {1}), (20, {1}), (72, {3, 4}), (1000, {50})])
def test_jackknife_groups_hold_each_image_once(count: int, sizes: set[int]) -> None:
    groups = jackknife_groups(count, seed=1)
    assert len(groups) == min(count, 20)
    assert sorted(np.concatenate(groups)) == list(range(count))
    assert {len(group) for group in groups} == sizes
    assert all(np.array_equal(a, b) for a, b in zip(groups, jackknife_groups(count, seed=1), strict=True))


def test_paired_difference_against_scipy() -> None:
    a, b = _values(40, 1), _values(40, 2)
    paired = paired_difference(a, b, 2000, seed=0)
    assert paired is not None
    assert paired.mean == pytest.approx((a - b).mean())
    assert paired.wilcoxon_p == pytest.approx(wilcoxon(a, b).pvalue)
    assert paired.interval == bootstrap_interval(a - b, 2000, seed=0)


def test_paired_difference_finds_what_unpaired_intervals_hide() -> None:
    """The same small gain on every image: the two intervals overlap, the paired one excludes 0."""
    base = 10 * _values(60)
    better = base - 0.1 - 0.01 * _values(60, 5)
    a, b = bootstrap_interval(better, 1000, 0), bootstrap_interval(base, 1000, 0)
    paired = paired_difference(better, base, 1000, seed=0)
    assert a is not None and b is not None and paired is not None and paired.interval is not None
    assert a.high > b.low
    assert paired.interval.high < 0
    assert paired.wilcoxon_p < 1e-6


def test_paired_difference_leaves_out_images_without_both_values() -> None:
    a, b = np.array([np.inf, 2.0, np.nan, 4.0]), np.array([1.0, np.inf, 3.0, 3.0])
    paired = paired_difference(a, b, 10, seed=0)
    assert paired is not None
    assert (paired.n, paired.mean, paired.interval) == (1, 1.0, None)
    assert paired_difference(a[:1], b[:1], 10, seed=0) is None


def test_paired_difference_of_equal_values_is_no_evidence() -> None:
    values = _values(10)
    paired = paired_difference(values, values, 10, seed=0)
    assert paired is not None
    assert (paired.mean, paired.wilcoxon_p) == (0, 1)


def test_paired_difference_refuses_other_images() -> None:
    with pytest.raises(ValueError, match="got 3 and 4"):
        paired_difference(_values(3), _values(4), 10, seed=0)


def test_hole_bins_hold_each_ratio_once() -> None:
    assert [b.name for b in HOLE_BINS] == ["1-10%", "10-20%", "20-30%", "30-40%", "40-50%", "50-60%"]
    ratios = np.array([0.01, 0.02, 0.1, 0.25, 0.3, 0.5, 0.6, 0.7])
    assert np.array([b.holds(ratios) for b in HOLE_BINS]).sum(axis=0).tolist() == [0, 1, 1, 1, 1, 1, 1, 0]
    assert HOLE_BINS[0].holds(np.array([0.1])).all()
