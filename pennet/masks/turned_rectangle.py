"""A turned rectangle: the geometry that several training masks share."""

from __future__ import annotations

import math

import numpy as np

from pennet.masks.mask import Mask


def turned_rectangle(rng: np.random.Generator, height: int, width: int, hole_height: int, hole_width: int) -> Mask:
    """A rectangle at a random place, turned by -45° to 45° about its middle.

    The unturned rectangle lies inside the picture; a turned one may lose its corners at the edge.

    Args:
        rng: where its place and its angle are drawn from.
        height, width: of the picture.
        hole_height, hole_width: of the rectangle before it is turned, 1 px to the picture's.
    """
    top = rng.integers(0, height - hole_height, endpoint=True)
    left = rng.integers(0, width - hole_width, endpoint=True)
    angle = rng.uniform(0, math.pi / 4) * rng.choice([-1, 1])
    centre_y, centre_x = top + hole_height / 2, left + hole_width / 2
    y, x = np.ogrid[0.5 : height + 0.5, 0.5 : width + 0.5]
    along = (x - centre_x) * math.cos(angle) + (y - centre_y) * math.sin(angle)
    across = (y - centre_y) * math.cos(angle) - (x - centre_x) * math.sin(angle)
    return ((np.abs(along) < hole_width / 2) & (np.abs(across) < hole_height / 2)).astype(np.uint8)
