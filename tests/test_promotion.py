"""The rule of promotion against numbers made by hand, and a bootstrap written anew."""

import dataclasses

import numpy as np
import pytest

from pennet.config import PromotionConfig
from pennet.errors import UserError
from pennet.metrics.per_image import PerImage
from pennet.promotion import judge, metric_key, why_not_computed, why_not_of_images
from tests.metrics.test_scoring import CONFIG

N = 60
RULE = PromotionConfig(better=["l1_hole"], guards={"psnr": 0.02, "seam": 0.1}, pictures=0, resamples=4000)
EVALUATE = dataclasses.replace(CONFIG, lpips_nets=["alex"])
RNG = np.random.default_rng(3)
CHAMPION = {
    "l1_hole": RNG.uniform(0.05, 0.15, N),
    "psnr": RNG.uniform(20, 30, N),
    "seam": RNG.uniform(0.01, 0.02, N),
    "lpips_alex": RNG.uniform(0.1, 0.2, N),
}


def table(**changes: np.ndarray) -> PerImage:
    return PerImage([f"{i}" for i in range(N)], None, CHAMPION | changes)


def verdict(rule: PromotionConfig = RULE, **changes: np.ndarray):
    return judge(table(**changes), table(), rule, EVALUATE, 64)


def interval(differences: np.ndarray, resamples: int = 20000) -> tuple[float, float]:
    """Percentile bootstrap, one resample after the other."""
    rng = np.random.default_rng(99)
    means = sorted(float(np.mean(rng.choice(differences, len(differences)))) for _ in range(resamples))
    return means[int(0.025 * resamples)], means[int(0.975 * resamples)]


def test_better_beyond_chance_and_no_guard_broken_is_promoted() -> None:
    noise = RNG.normal(0, 0.01, N)
    ours = CHAMPION["l1_hole"] - 0.004 + noise - noise.mean()
    found = verdict(l1_hole=ours)
    assert found.promote
    l1, psnr, seam = found.findings
    assert [finding.metric for finding in found.findings] == ["l1_hole", "psnr", "seam"]
    assert l1.difference == pytest.approx((ours - CHAMPION["l1_hole"]).mean())
    low, high = interval(ours - CHAMPION["l1_hole"])
    assert (l1.ci_low, l1.ci_high) == pytest.approx((low, high), abs=2e-4)
    assert (l1.champion, l1.challenger) == pytest.approx((CHAMPION["l1_hole"].mean(), ours.mean()))
    assert (psnr.difference, psnr.holds, psnr.why, seam.why) == (0, True, "not worse", "not worse")


@pytest.mark.parametrize(
    ("shift", "why"),
    [(0.0, "may be chance: the interval holds zero"), (0.02, "worse"), (-0.0005, "may be chance: the interval holds zero")],
)
def test_chance_and_worse_are_not_promoted(shift: float, why: str) -> None:
    noise = np.resize([0.01, -0.01], N)  # its mean is zero
    found = verdict(l1_hole=CHAMPION["l1_hole"] + shift + noise)
    assert not found.promote
    assert found.findings[0].why == why


def test_all_that_must_be_better_must_be() -> None:
    rule = dataclasses.replace(RULE, better=["l1_hole", "lpips_alex"])
    better = {"l1_hole": CHAMPION["l1_hole"] - 0.01}
    assert not verdict(rule, **better).promote
    assert verdict(rule, **better, lpips_alex=CHAMPION["lpips_alex"] - 0.01).promote


def test_higher_is_better_where_a_metric_says_so() -> None:
    rule = dataclasses.replace(RULE, better=["psnr"], guards={})
    assert verdict(rule, psnr=CHAMPION["psnr"] + 1).promote
    assert not verdict(rule, psnr=CHAMPION["psnr"] - 1).promote


@pytest.mark.parametrize(("share", "holds"), [(0.019, True), (0.021, False), (-0.5, True)])
def test_a_guard_is_a_share_of_the_champions_mean(share: float, holds: bool) -> None:
    """PSNR: worse is lower."""
    found = verdict(l1_hole=CHAMPION["l1_hole"] - 0.01, psnr=CHAMPION["psnr"] - share * CHAMPION["psnr"].mean())
    assert found.promote == holds
    if not holds:
        assert found.findings[1].why == "worse by 2.1%, more than 0.02 of the champion's"


def test_a_champion_without_any_seam_can_only_be_equalled() -> None:
    rule, zero = dataclasses.replace(RULE, guards={"seam": 0.1}), np.zeros(N)
    for seam, holds in ((zero, True), (zero + 1e-6, False)):
        found = judge(table(seam=seam, l1_hole=CHAMPION["l1_hole"] - 0.01), table(seam=zero), rule, EVALUATE, 64)
        assert found.promote == holds


def test_images_without_a_value_of_both_are_left_out() -> None:
    theirs, ours = CHAMPION["psnr"].copy(), CHAMPION["psnr"] + 1
    theirs[0], ours[1] = np.inf, np.nan
    rule = dataclasses.replace(RULE, better=["psnr"], guards={})
    (psnr,) = judge(table(psnr=ours), table(psnr=theirs), rule, EVALUATE, 64).findings
    assert (psnr.n, psnr.holds) == (N - 2, True)
    assert psnr.difference == pytest.approx(1)
    nothing = verdict(rule, psnr=np.full(N, np.nan))
    assert (nothing.promote, nothing.findings[0].why) == (False, "no image has a finite value of both")


def test_a_single_image_proves_nothing() -> None:
    one = PerImage(["a"], None, {"l1_hole": np.array([0.1])})
    better = PerImage(["a"], None, {"l1_hole": np.array([0.01])})
    found = judge(better, one, dataclasses.replace(RULE, guards={}), EVALUATE, 64)
    assert (found.promote, found.findings[0].why) == (False, "a single image has no interval")


def test_other_images_are_refused() -> None:
    with pytest.raises(ValueError, match="different images"):
        judge(PerImage(["a"], None, {}), PerImage(["b"], None, {}), RULE, EVALUATE, 64)


def test_a_rule_names_metrics_as_tables_or_as_the_list_calls_them() -> None:
    assert metric_key("ms_ssim", EVALUATE, 64) == "ms_ssim_3"
    assert metric_key("ms_ssim", EVALUATE, 256) == metric_key("ms_ssim", EVALUATE, 512) == "ms_ssim"
    assert metric_key("lpips", EVALUATE, 64) == metric_key("lpips_alex", EVALUATE, 64) == "lpips_alex"
    assert why_not_of_images("sharpness").startswith("is no metric of single images (known: l1, l1_hole")
    assert why_not_of_images("kid_efflite0") == "is a metric of whole sets; a rule compares image by image"
    assert why_not_computed("ms_ssim_3", EVALUATE, 256) == "pictures of 256 px have not (they have ms_ssim)"
    assert (
        why_not_computed("lpips_vgg", EVALUATE, 64) == "evaluate.lpips_nets: [alex] does not compute; change one of the two"
    )
    both = dataclasses.replace(EVALUATE, lpips_nets=["alex", "vgg"])
    assert why_not_computed("lpips", both, 64) == "is several here (lpips_alex, lpips_vgg); name one"
    assert "needs pictures of 32 px or more" in why_not_computed("lpips", EVALUATE, 16)
    with pytest.raises(UserError, match="promotion: names 'lpips_vgg', which evaluate"):
        metric_key("lpips_vgg", EVALUATE, 64)
