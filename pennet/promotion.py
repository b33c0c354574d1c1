"""Whether a challenger takes the champion's place: both filled the same pictures, and are compared image by image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pennet.errors import UserError
from pennet.metrics.catalogue import METRICS, find
from pennet.metrics.lpips import LPIPS
from pennet.metrics.metric import Direction, Metric
from pennet.metrics.summary import paired_difference

if TYPE_CHECKING:
    from pennet.config import EvaluateConfig, PromotionConfig
    from pennet.metrics.per_image import PerImage


@dataclass(frozen=True)
class Finding:
    """One metric of the rule: challenger beside champion, on the images where both have a finite value."""

    metric: str
    """As tables call it: `lpips_alex`, `ms_ssim_3`."""
    direction: Direction
    """Which values are better."""
    n: int
    """Images."""
    champion: float | None
    """Mean; None where no image has both values, as of all numbers."""
    challenger: float | None
    difference: float | None
    """Mean of challenger minus champion."""
    ci_low: float | None
    """95 % bootstrap interval of the difference; None for a single image."""
    ci_high: float | None
    must_be_better: bool
    """Whether the interval must lie on the better side of zero."""
    tolerance: float | None
    """Share of the champion's mean by which the challenger's may be worse; None for a metric without guard."""
    holds: bool
    why: str
    """What decided, in words."""


@dataclass(frozen=True)
class Verdict:
    promote: bool
    """Whether every finding holds."""
    findings: list[Finding]
    """In the order of the rule: what must be better, then the other guards."""


def judge(
    challenger: PerImage, champion: PerImage, rule: PromotionConfig, evaluate: EvaluateConfig, side_px: int
) -> Verdict:
    """Applies a rule to two tables of the same images.

    Args:
        challenger: its values.
        champion: its values for the same images in the same order.
        rule: what must be better, and what must not be worse.
        evaluate: what was computed; its seed is the bootstrap's.
        side_px: of the pictures.

    Raises:
        ValueError: tables of different images.
        UserError: a metric of the rule that these pictures have not.
    """
    if challenger.names != champion.names:
        raise ValueError("challenger and champion were scored on different images")
    better = [metric_key(name, evaluate, side_px) for name in rule.better]
    guards = {metric_key(name, evaluate, side_px): tolerance for name, tolerance in rule.guards.items()}
    findings = [
        _finding(find(key), challenger, champion, key in better, guards.get(key), rule.resamples, evaluate.seed)
        for key in dict.fromkeys([*better, *guards])
    ]
    return Verdict(all(finding.holds for finding in findings), findings)


def _finding(
    metric: Metric,
    challenger: PerImage,
    champion: PerImage,
    must_be_better: bool,
    tolerance: float | None,
    resamples: int,
    seed: int,
) -> Finding:
    key = metric.key
    ours, theirs = challenger.values[key], champion.values[key]
    paired = paired_difference(ours, theirs, resamples, seed)
    if paired is None:
        why = "no image has a finite value of both"
        numbers = None, None, None, None, None
        return Finding(key, metric.better, 0, *numbers, must_be_better, tolerance, False, why)
    both = np.isfinite(ours) & np.isfinite(theirs)
    reference, mean = float(theirs[both].mean()), float(ours[both].mean())
    low, high = paired.interval or (None, None)
    sign = 1 if metric.better == "lower" else -1
    reasons, holds = [], True
    if must_be_better:
        if low is None or high is None:
            reasons, holds = ["a single image has no interval"], False
        else:
            worst = max(sign * low, sign * high)
            holds = worst < 0
            is_worse = min(sign * low, sign * high) > 0
            reasons = ["better" if holds else "worse" if is_worse else "may be chance: the interval holds zero"]
    if tolerance is not None:
        worse_by, allowed = sign * paired.mean, tolerance * abs(reference)
        inside = worse_by <= allowed
        holds = holds and inside
        share = f"{worse_by / abs(reference):.1%}" if reference else f"{worse_by:.3g}"
        if not inside:
            reasons = [reason for reason in reasons if reason != "worse"]  # this says by how much
            reasons.append(f"worse by {share}, more than {tolerance:.3g} of the champion's")
        elif not must_be_better:
            reasons.append("not worse" if worse_by <= 0 else f"worse by {share}, within {tolerance:.3g} of the champion's")
    why = "; ".join(reasons)
    return Finding(
        key, metric.better, paired.n, reference, mean, paired.mean, low, high, must_be_better, tolerance, holds, why
    )


def metric_key(name: str, evaluate: EvaluateConfig, side_px: int) -> str:
    """What tables call a metric of a rule: its own key, or the only variant that pictures of this size have.

    `ms_ssim` of pictures of 64 px is `ms_ssim_3`.

    Raises:
        UserError: there is no value of it for each image; says why.
    """
    if why := why_not_of_images(name) or why_not_computed(name, evaluate, side_px):
        raise UserError(f"promotion: names {name!r}, which {why}")
    keys = _keys(_family(name), evaluate, side_px)
    return name if name in keys else keys[0]


def why_not_of_images(name: str) -> str:
    """Why no image can have a value of the metric of that name: what to print after it; empty if it can."""
    metric = _family(name)
    if metric is None:
        known = ", ".join(metric.name for metric in METRICS if metric.needs != "features")
        return f"is no metric of single images (known: {known})"
    return "is a metric of whole sets; a rule compares image by image" if metric.needs == "features" else ""


def why_not_computed(name: str, evaluate: EvaluateConfig, side_px: int) -> str:
    """Why pictures of this size have no single value under that name: what to print after it; empty if they have."""
    metric = _family(name)
    if metric is None or metric.needs == "features":
        return ""  # `why_not_of_images` says so
    if side_px < metric.min_side_px:
        return f"needs pictures of {metric.min_side_px} px or more, and prepare.image_size_px is {side_px}"
    keys = _keys(metric, evaluate, side_px)
    if name in keys or (name == metric.name and len(keys) == 1):
        return ""
    if name == metric.name and len(keys) > 1:
        return f"is several here ({', '.join(keys)}); name one"
    if metric.name == LPIPS.name:
        return f"evaluate.lpips_nets: [{', '.join(evaluate.lpips_nets)}] does not compute; change one of the two"
    return f"pictures of {side_px} px have not (they have {', '.join(keys)})"


def _keys(metric: Metric | None, evaluate: EvaluateConfig, side_px: int) -> list[str]:
    return [] if metric is None else [metric.of(variant).key for variant in metric.choose(evaluate, side_px)]


def _family(name: str) -> Metric | None:
    """The declaration behind a metric's name or key."""
    for metric in METRICS:
        if name == metric.name or name in {metric.of(variant).key for variant in metric.variants}:
            return metric
    return None
