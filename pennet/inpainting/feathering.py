"""A seam that fades: the ring around a hole is painted with it, and what was there comes back step by step."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pennet.errors import UserError

LARGEST_PX = 64
"""A wider ring would hide more of a photo than it mends."""


def check_feather(feather_px: object) -> int:
    """The radius, if it is one.

    Raises:
        UserError: no whole number of pixels within the limit.
    """
    if isinstance(feather_px, bool) or not isinstance(feather_px, int) or not 0 <= feather_px <= LARGEST_PX:
        raise UserError(f"feather: expected a whole number of pixels from 0 to {LARGEST_PX}, got {feather_px!r}")
    return feather_px


def painted_share(mask: NDArray[np.uint8], feather_px: int) -> NDArray[np.float32]:
    """What of each pixel is painted: 1 in the hole, from there down to 0 beyond the feather: (H, W) -> (H, W).

    A pixel at distance d counts 1 - d / (feather + 1).
    """
    share = (mask > 0).astype(np.float32)
    if not feather_px:
        return share
    squared = squared_distance(mask, feather_px)
    return np.maximum(share, np.clip(1 - np.sqrt(squared) / (feather_px + 1), 0, 1).astype(np.float32))


def squared_distance(mask: NDArray[np.uint8], reach_px: int) -> NDArray[np.int32]:
    """Squared distance to the next hole pixel, exact up to the reach, more than its square beyond: (H, W) -> (H, W)."""
    height, width = mask.shape
    far = 2 * (reach_px + 1)
    columns = np.arange(width, dtype=np.int32)
    before = np.maximum.accumulate(np.where(mask > 0, columns, -far), axis=1)
    after = np.minimum.accumulate(np.where(mask > 0, columns, width + far)[:, ::-1], axis=1)[:, ::-1]
    across = np.minimum(np.minimum(columns - before, after - columns), far).astype(np.int32) ** 2
    squared = across.copy()
    for lines in range(1, min(reach_px, height - 1) + 1):
        np.minimum(squared[lines:], across[:-lines] + lines**2, out=squared[lines:])
        np.minimum(squared[:-lines], across[lines:] + lines**2, out=squared[:-lines])
    return squared
