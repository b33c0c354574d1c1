"""Holes grown and softened by whole discs: the distance of each pixel to the hole, up to a radius."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def dilated(mask: NDArray[np.uint8], radius_px: int) -> NDArray[np.uint8]:
    """The hole, grown by a disc: (H, W) in {0, 1}, 1 where the hole is within `radius_px` (Euclidean, pixel to pixel).

    Raises:
        ValueError: a negative radius.
    """
    if radius_px < 0:
        raise ValueError(f"radius_px={radius_px} must not be negative")
    return (squared_distance(mask, radius_px) <= radius_px**2).astype(np.uint8)


def feather_weights(mask: NDArray[np.uint8], radius_px: int) -> NDArray[np.float32]:
    """How much of each pixel is painted: (H, W), 1 in the hole, falling evenly to 0 at a distance of `radius_px` + 1."""
    distance = np.sqrt(squared_distance(mask, radius_px).astype(np.float32))
    return np.maximum(0, 1 - distance / np.float32(radius_px + 1)).astype(np.float32)


def squared_distance(mask: NDArray[np.uint8], radius_px: int) -> NDArray[np.int32]:
    """The squared distance of each pixel to the nearest hole pixel: (H, W), exact up to `radius_px`, larger beyond.

    First the distance inside of each column, then the nearest of the columns around: exact, because the squares of both
    directions add up. Source: Felzenszwalb and Huttenlocher, Distance transforms of sampled functions, 2012.
    """
    height, width = mask.shape
    beyond = radius_px + 1
    found = np.full((height, width), 2 * beyond**2, np.int32)
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        return found
    top, bottom = max(0, rows[0] - radius_px), min(height, rows[-1] + beyond)
    left, right = max(0, columns[0] - radius_px), min(width, columns[-1] + beyond)
    inside = mask[top:bottom, left:right] > 0  # nothing outside can be within the radius
    down = np.where(inside, 0, beyond).astype(np.int32)
    for line in range(1, len(down)):
        np.minimum(down[line], down[line - 1] + 1, out=down[line])
    for line in range(len(down) - 2, -1, -1):
        np.minimum(down[line], down[line + 1] + 1, out=down[line])
    squares = np.minimum(down, beyond) ** 2
    nearest = squares.copy()
    for shift in range(1, radius_px + 1):
        if shift >= squares.shape[1]:
            break
        np.minimum(nearest[:, shift:], squares[:, :-shift] + shift**2, out=nearest[:, shift:])
        np.minimum(nearest[:, :-shift], squares[:, shift:] + shift**2, out=nearest[:, :-shift])
    found[top:bottom, left:right] = nearest
    return found
