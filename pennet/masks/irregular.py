"""Free-form strokes with a hole of a given size: the irregular test protocol, and masks to train for it."""

from __future__ import annotations

import numpy as np

from pennet.errors import UserError
from pennet.masks.bins import HOLE_BINS, HoleBin
from pennet.masks.free_form import stroke
from pennet.masks.mask import Mask

MAX_ATTEMPTS = 1000


def irregular(rng: np.random.Generator, height: int, width: int) -> Mask:
    """A mask of a bin drawn at random. Raises as `irregular_of_bin`."""
    return irregular_of_bin(rng, height, width, HOLE_BINS[rng.integers(len(HOLE_BINS))])


def irregular_in_turn(rng: np.random.Generator, height: int, width: int, index: int) -> Mask:
    """Mask number `index` of a series in which the bins take turns: every six have one of each."""
    return irregular_of_bin(rng, height, width, HOLE_BINS[index % len(HOLE_BINS)])


def irregular_of_bin(rng: np.random.Generator, height: int, width: int, hole_bin: HoleBin) -> Mask:
    """Strokes until the bin is reached, and anew where they step over it.

    Args:
        rng: where the strokes are drawn from.
        height, width: at least 16 px, or the smallest bins may be out of reach.
        hole_bin: the range of its hole ratio.

    Raises:
        UserError: no mask of this size falls into the bin.
    """
    low, high = hole_bin
    for _ in range(MAX_ATTEMPTS):
        mask = np.zeros((height, width), np.uint8)
        while mask.mean() <= low:
            mask |= stroke(rng, height, width)
        if mask.mean() <= high:
            return mask
    raise UserError(f"no free-form mask of {width}x{height} px has a hole ratio from {low} to {high}; use larger images")
