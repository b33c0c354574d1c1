"""GntIpt's training mask."""

from __future__ import annotations

import numpy as np

from pennet.masks.free_form import free_form
from pennet.masks.jittered_box import jittered_box
from pennet.masks.mask import Mask, with_known_pixel


def box_and_free_form(rng: np.random.Generator, height: int, width: int) -> Mask:
    """The jittered box and the strokes together."""
    return with_known_pixel(rng, jittered_box(rng, height, width) | free_form(rng, height, width))
