"""The floor that a learned method must beat: one flat colour."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def fill_with_mean(image: NDArray[np.uint8], mask: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Fills the hole with the mean colour of the known pixels: (H, W, 3), (H, W) 1 = hole -> (H, W, 3), all uint8."""
    hole = mask > 0
    filled = image.copy()
    filled[hole] = np.round(image[~hole].mean(axis=0)).astype(np.uint8)
    return filled
