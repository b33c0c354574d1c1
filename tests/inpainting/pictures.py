"""Photos of noise, and square holes."""

import numpy as np

TRAINED_PX = 16
"""Of the generator in `conftest.py`."""


def photo(height: int, width: int, dtype: type = np.uint8, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, np.iinfo(dtype).max, (height, width, 3), dtype=dtype, endpoint=True)


def hole(height: int, width: int, top: int, left: int, side: int) -> np.ndarray:
    mask = np.zeros((height, width), np.uint8)
    mask[top : top + side, left : left + side] = 1
    return mask
