"""What a mask is: uint8 (H, W), 1 = hole.

Whatever the size, a mask has a hole, and a known pixel unless the picture is a single one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Mask: TypeAlias = NDArray[np.uint8]
DrawMask: TypeAlias = Callable[[np.random.Generator, int, int], Mask]
"""A kind of mask: a pure function (random generator, height, width) -> mask."""


def half(side: int) -> int:
    """Half of a side, at least a pixel."""
    return max(1, side // 2)


def with_known_pixel(rng: np.random.Generator, mask: Mask) -> Mask:
    """A mask that covers a picture of a few pixels loses one of them again."""
    if mask.all() and mask.size > 1:
        mask.flat[rng.integers(mask.size)] = 0
    return mask
