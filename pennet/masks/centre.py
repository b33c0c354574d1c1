"""The paper's test mask."""

from __future__ import annotations

import numpy as np

from pennet.masks.mask import Mask, half


def centre_square(rng: np.random.Generator, height: int, width: int) -> Mask:
    """The centre rectangle of half of each side; nothing is drawn from the generator."""
    mask = np.zeros((height, width), np.uint8)
    top, left = height // 4, width // 4
    mask[top : top + half(height), left : left + half(width)] = 1
    return mask
