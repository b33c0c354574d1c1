"""Hole-ratio bins: irregular test masks are made for them, metrics are reported by them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class HoleBin(NamedTuple):
    """Hole ratios above `low` and up to `high`, as Liu et al. (Partial convolutions, 2018) group them."""

    low: float
    high: float

    @property
    def name(self) -> str:
        return f"{round(100 * self.low)}-{round(100 * self.high)}%"

    def holds(self, hole_ratio: NDArray[np.float64]) -> NDArray[np.bool_]:
        return (hole_ratio > self.low) & (hole_ratio <= self.high)


HOLE_BINS = (
    HoleBin(0.01, 0.1),
    HoleBin(0.1, 0.2),
    HoleBin(0.2, 0.3),
    HoleBin(0.3, 0.4),
    HoleBin(0.4, 0.5),
    HoleBin(0.5, 0.6),
)
