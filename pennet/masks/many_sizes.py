"""A training mask for holes of every size: turned rectangles and strokes."""

from __future__ import annotations

import math

import numpy as np

from pennet.masks.free_form import stroke
from pennet.masks.mask import Mask, with_known_pixel
from pennet.masks.rotated_square import rotated_square
from pennet.masks.turned_rectangle import turned_rectangle

SHARE_OF_STROKES = 1 / 3
SHARE_OF_HALF_SQUARES = 2 / 9
"""Of all masks: squares of half the shorter side, the size of the `centre` test. What is left are rectangles."""
RECTANGLE_RATIO = (0.02, 0.45)
"""Hole ratio of a rectangle before it loses corners at the edge, drawn uniformly."""
LARGEST_ASPECT = 2.0
"""How much more of one side of the picture a rectangle may take than of the other."""
STROKES_RATIO = (0.02, 0.4)
"""Hole ratio at which no more strokes are added, drawn uniformly."""
LARGEST_RATIO = 0.6
"""A stroke after the first that would take the hole beyond this is left out, and is the last."""


def many_sizes(rng: np.random.Generator, height: int, width: int) -> Mask:
    """A turned rectangle of any size, the turned square of half the side, or strokes, with the shares above.

    From 16 px on at least 40 % of the picture stays known.
    """
    kind = rng.random()
    if kind < SHARE_OF_STROKES:
        mask = _strokes(rng, height, width)
    elif kind < SHARE_OF_STROKES + SHARE_OF_HALF_SQUARES:
        mask = rotated_square(rng, height, width)
    else:
        mask = _rectangle(rng, height, width)
    return with_known_pixel(rng, mask)


def _rectangle(rng: np.random.Generator, height: int, width: int) -> Mask:
    ratio = rng.uniform(*RECTANGLE_RATIO)
    aspect = LARGEST_ASPECT ** rng.uniform(-1, 1)
    hole_height = max(1, round(height * math.sqrt(ratio * aspect)))
    hole_width = max(1, round(width * math.sqrt(ratio / aspect)))
    return turned_rectangle(rng, height, width, hole_height, hole_width)


def _strokes(rng: np.random.Generator, height: int, width: int) -> Mask:
    ratio = rng.uniform(*STROKES_RATIO)
    mask = stroke(rng, height, width)
    while mask.mean() < ratio and (more := mask | stroke(rng, height, width)).mean() <= LARGEST_RATIO:
        mask = more
    return mask
