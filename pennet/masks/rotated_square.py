"""PEN-Net's training mask."""

from __future__ import annotations

import math

import numpy as np

from pennet.masks.mask import Mask, half


def rotated_square(rng: np.random.Generator, height: int, width: int) -> Mask:
    """PEN-Net's training mask: a square of half the shorter side at a random place, mirrored or not, turned by 0 to 45°.

    The unrotated square lies inside the picture; a turned one may lose its corners at the edge.

    Source: the authors' release (its random square with flip and rotation); see docs/deviations.md.
    """
    side = half(min(height, width))
    top = rng.integers(0, height - side, endpoint=True)
    left = rng.integers(0, width - side, endpoint=True)
    angle = rng.uniform(0, math.pi / 4) * rng.choice([-1, 1])  # mirroring a square turns it the other way
    centre_y, centre_x = top + side / 2, left + side / 2
    y, x = np.ogrid[0.5 : height + 0.5, 0.5 : width + 0.5]
    along = (x - centre_x) * math.cos(angle) + (y - centre_y) * math.sin(angle)
    across = (y - centre_y) * math.cos(angle) - (x - centre_x) * math.sin(angle)
    return ((np.abs(along) < side / 2) & (np.abs(across) < side / 2)).astype(np.uint8)
