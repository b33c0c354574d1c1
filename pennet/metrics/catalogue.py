"""Every metric, in the order of the columns: from pixels to perception to distributions.

A new metric is a module with its declaration and its function, and a name in this list. Importing it loads neither torch nor
OpenCV nor SciPy.
"""

from __future__ import annotations

from collections.abc import Iterable

from pennet.errors import UserError
from pennet.metrics.distribution import FID, IS, KID
from pennet.metrics.lpips import LPIPS
from pennet.metrics.metric import Metric
from pennet.metrics.pixel import L1, L1_HOLE, L1_RELATIVE, PSNR
from pennet.metrics.seam import SEAM
from pennet.metrics.structure import MS_SSIM, SSIM

METRICS = (L1, L1_HOLE, L1_RELATIVE, SEAM, PSNR, SSIM, MS_SSIM, LPIPS, IS, FID, KID)

_BY_KEY = {metric.key: metric for family in METRICS for metric in map(family.of, family.variants)}
_PLACES = {key: place for place, key in enumerate(_BY_KEY)}


def find(key: str) -> Metric:
    """The metric that reports call so: `psnr`, `ms_ssim_3`, `fid_inception`.

    Raises:
        UserError: no metric is declared under this name.
    """
    if key not in _BY_KEY:
        names = ", ".join(metric.name for metric in METRICS)
        raise UserError(f"metric {key!r} is not declared (known: {names}); evaluate again, or add it to METRICS")
    return _BY_KEY[key]


def in_order(keys: Iterable[str]) -> list[str]:
    """The names of metrics in the order of their columns."""
    return sorted(keys, key=lambda key: _PLACES[find(key).key])


def headlines(keys: Iterable[str]) -> list[str]:
    """Of these metrics the few that stand for all, in order."""
    return [key for key in in_order(keys) if find(key).headline]


def index() -> str:
    """The table of docs/metrics.md: every metric with its page, its direction and its range."""
    lines = ["| metric | better | range |", "| --- | --- | --- |"]
    for metric in METRICS:
        names = ", ".join(f"`{metric.of(variant).key}`" for variant in metric.variants)
        lines.append(f"| [{names}](metrics/{metric.name}.md) | {metric.better} | {metric.range} |")
    return "\n".join(lines) + "\n"
