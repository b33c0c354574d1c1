"""Holes grown and softened by whole discs: the distance of each pixel to the hole, up to a radius."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

_BLOCK_ROWS = 64
"""Lines that are looked at together: few enough to stay in the processor's cache."""


def dilated(mask: NDArray[np.uint8], radius_px: int) -> NDArray[np.uint8]:
    """The hole, grown by a disc: (H, W) in {0, 1}, 1 where the hole is within `radius_px` (Euclidean, pixel to pixel).

    Raises:
        ValueError: a negative radius.
    """
    if radius_px < 0:
        raise ValueError(f"radius_px={radius_px} must not be negative")
    radius_px = min(radius_px, sum(mask.shape))  # nothing in the picture is farther apart
    return (squared_distance(mask, radius_px) <= radius_px**2).astype(np.uint8)


def feather_weights(mask: NDArray[np.uint8], radius_px: int) -> NDArray[np.float32]:
    """How much of each pixel is painted: (H, W), 1 in the hole, falling evenly with the distance; 0 beyond `radius_px`."""
    squares = squared_distance(mask, radius_px)
    weights = 1 - np.sqrt(squares, dtype=np.float32) / np.float32(radius_px + 1)
    return np.where(squares <= radius_px**2, weights, np.float32(0))


def squared_distance(mask: NDArray[np.uint8], radius_px: int) -> NDArray[Any]:
    """The squared distance of each pixel to the nearest hole pixel: (H, W), exact up to `radius_px`, larger beyond.

    First the distance inside of each column, then the nearest of the columns around: exact, because the squares of both
    directions add up. Source: Felzenszwalb and Huttenlocher, Distance transforms of sampled functions, 2012.
    """
    beyond = radius_px + 1
    kind = np.result_type(np.uint16, np.min_scalar_type(2 * beyond**2))
    found = np.full(mask.shape, 2 * beyond**2, kind)
    down = np.where(mask > 0, 0, beyond).astype(kind)
    for line in range(1, len(down)):
        np.minimum(down[line], down[line - 1] + 1, out=down[line])
    for line in range(len(down) - 2, -1, -1):
        np.minimum(down[line], down[line + 1] + 1, out=down[line])
    for top in range(0, len(down), _BLOCK_ROWS):
        lines = np.minimum(down[top : top + _BLOCK_ROWS], beyond)
        columns = np.flatnonzero((lines < beyond).any(axis=0))
        if not len(columns):
            continue
        left, right = max(0, columns[0] - radius_px), columns[-1] + beyond
        squares = lines[:, left:right] ** 2
        nearest = squares.copy()
        for shift in range(1, min(beyond, squares.shape[1])):
            np.minimum(nearest[:, shift:], squares[:, :-shift] + kind.type(shift**2), out=nearest[:, shift:])
            np.minimum(nearest[:, :-shift], squares[:, shift:] + kind.type(shift**2), out=nearest[:, :-shift])
        found[top : top + _BLOCK_ROWS, left:right] = nearest
    return found
