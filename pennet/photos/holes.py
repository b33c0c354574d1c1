"""Masks as people make them: grey, soft, transparent, inverted, of another size."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Hole(NamedTuple):
    """What is to be filled."""

    mask: NDArray[np.uint8]
    """(H, W) in {0, 1}, 1 = hole."""
    words: tuple[str, ...]
    """What had to be decided, each a sentence: thresholded, resized, polarity suspected, ..."""


def read_hole(path: Path, height: int, width: int, *, invert: bool = False, resize: bool = False) -> Hole:
    """Reads a mask for a photo of a size.

    Raises:
        UserError: unreadable, of another size without `resize` (names both sizes and --resize-mask), no hole, or nothing but
            hole; names the file.
    """
    raise NotImplementedError


def dilated(mask: NDArray[np.uint8], radius_px: int) -> NDArray[np.uint8]:
    """The hole, grown by a disc of a radius: (H, W) in {0, 1}."""
    raise NotImplementedError
