"""A seam that fades: how wide the ring around a hole is that is painted with it (`pennet.photos.discs.feather_weights`)."""

from __future__ import annotations

from operator import index
from typing import SupportsIndex

from pennet.errors import UserError

LARGEST_PX = 64
"""A wider ring would hide more of a photo than it mends."""


def check_feather(feather_px: object) -> int:
    """The radius, if it is one.

    Raises:
        UserError: no whole number of pixels within the limit.
    """
    if isinstance(feather_px, bool) or not isinstance(feather_px, SupportsIndex) or not 0 <= index(feather_px) <= LARGEST_PX:
        raise UserError(f"feather: expected a whole number of pixels from 0 to {LARGEST_PX}, got {feather_px!r}")
    return index(feather_px)
