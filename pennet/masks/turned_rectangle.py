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
    reach_y = (hole_height * math.cos(angle) + hole_width * abs(math.sin(angle))) / 2
    reach_x = (hole_width * math.cos(angle) + hole_height * abs(math.sin(angle))) / 2
    rows = slice(max(0, math.floor(centre_y - reach_y)), math.ceil(centre_y + reach_y))  # pixels elsewhere are known
    columns = slice(max(0, math.floor(centre_x - reach_x)), math.ceil(centre_x + reach_x))
    y, x = np.arange(height)[rows, None] + 0.5, np.arange(width)[None, columns] + 0.5
    along = (x - centre_x) * math.cos(angle) + (y - centre_y) * math.sin(angle)
    across = (y - centre_y) * math.cos(angle) - (x - centre_x) * math.sin(angle)
    mask = np.zeros((height, width), np.uint8)
    mask[rows, columns] = (np.abs(along) < hole_width / 2) & (np.abs(across) < hole_height / 2)
    return mask
