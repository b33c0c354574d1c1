"""The hole of the `centre` test, wherever it may lie."""

from __future__ import annotations

import numpy as np

from pennet.masks.mask import Mask, half


def random_square(rng: np.random.Generator, height: int, width: int) -> Mask:
    """An upright square of half the shorter side at a uniform place inside the picture.

    Of the size of `centre`, so that the two differ in nothing but the place.

    Source: the size of Pathak et al. 2016 (Context encoders); the random place of Iizuka et al. 2017, whose holes have sides
    of 96 to 128 of 256 px.
    """
    side = half(min(height, width))
    top, left = rng.integers(0, [height - side, width - side], endpoint=True)
    mask = np.zeros((height, width), np.uint8)
    mask[top : top + side, left : left + side] = 1
    return mask
