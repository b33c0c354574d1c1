"""PEN-Net's training mask."""

from __future__ import annotations

import numpy as np

from pennet.masks.mask import Mask, half
from pennet.masks.turned_rectangle import turned_rectangle


def rotated_square(rng: np.random.Generator, height: int, width: int) -> Mask:
    """PEN-Net's training mask: a square of half the shorter side at a random place, mirrored or not, turned by 0 to 45°.

    Mirroring a square turns it the other way. It may lose its corners at the edge.

    Source: the authors' release (its random square with flip and rotation); see docs/deviations.md.
    """
    side = half(min(height, width))
    return turned_rectangle(rng, height, width, side, side)
