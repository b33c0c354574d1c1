"""CA's training mask."""

from __future__ import annotations

import numpy as np

from pennet.masks.mask import Mask, half


def jittered_box(rng: np.random.Generator, height: int, width: int) -> Mask:
    """CA's training mask: a box of half of each side at a uniform place, its four sides moved in by U{0..16} (of 256 px).

    Source: Yu et al. 2018, the release's parameters (box 128, largest change 32 of 256 px).
    """
    box_height, box_width = half(height), half(width)
    top = rng.integers(0, height - box_height, endpoint=True)
    left = rng.integers(0, width - box_width, endpoint=True)
    above, below = rng.integers(0, height // 16, size=2, endpoint=True)
    before, after = rng.integers(0, width // 16, size=2, endpoint=True)
    mask = np.zeros((height, width), np.uint8)
    mask[top + above : top + box_height - below, left + before : left + box_width - after] = 1
    return mask
