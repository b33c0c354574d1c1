"""The holes of a mask: which pixels belong together, and the boxes around them."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray


class Box(NamedTuple):
    """A rectangle of pixels."""

    top: int
    left: int
    height: int
    width: int

    @property
    def place(self) -> tuple[slice, slice]:
        """Of the box in an array (H, W, ...)."""
        return slice(self.top, self.top + self.height), slice(self.left, self.left + self.width)


def label(mask: NDArray[Any]) -> tuple[NDArray[np.int32], int]:
    """Numbers what touches, also by a corner: (H, W) -> (H, W), 0 where the mask is 0, else 1 to n; and n.

    By runs: the runs of neighbouring lines that overlap are joined, and there are far fewer runs than pixels.
    """
    height, width = mask.shape
    # One column more, always empty: no run goes on into the next line.
    padded = np.zeros((height, width + 1), np.int8)
    padded[:, :width] = mask > 0
    steps = np.diff(padded.ravel(), prepend=np.int8(0))
    starts, ends = np.flatnonzero(steps == 1), np.flatnonzero(steps == -1)
    first_below = np.searchsorted(ends, starts + width + 1, side="left")
    behind_below = np.searchsorted(starts, ends + width + 1, side="right")
    count = np.maximum(behind_below - first_below, 0)
    above = np.repeat(np.arange(len(starts)), count)
    below = np.arange(len(above)) - np.repeat(np.cumsum(count) - count, count) + np.repeat(first_below, count)
    _, numbers = np.unique(_joined(len(starts), above, below), return_inverse=True)
    labels = np.zeros(height * (width + 1), np.int32)
    lengths = ends - starts
    pixels = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths) + np.repeat(starts, lengths)
    labels[pixels] = np.repeat(numbers + 1, lengths)
    return labels.reshape(height, width + 1)[:, :width], int(numbers.max(initial=-1)) + 1


def _joined(number: int, one: NDArray[np.intp], other: NDArray[np.intp]) -> NDArray[np.intp]:
    """The least member of everybody's group, where each pair (one, other) belongs together."""
    root = np.arange(number)
    while True:
        a, b = root[one], root[other]
        apart = a != b
        if not apart.any():
            return root
        one, other = one[apart], other[apart]
        np.minimum.at(root, np.maximum(a, b)[apart], np.minimum(a, b)[apart])
        while not np.array_equal(shorter := root[root], root):
            root = shorter


def find_boxes(mask: NDArray[np.uint8], near_px: int) -> list[Box]:
    """The boxes of the holes, from top to bottom; what meets in one cell of near_px x near_px, or in two that touch, is one.

    Args:
        mask: (H, W), 1 = hole.
        near_px: side of the cells; with 1, a hole is what touches.
    """
    height, width = mask.shape
    across = np.maximum.reduceat(mask, np.arange(0, width, near_px), axis=1)  # (H, W / near)
    down = np.maximum.reduceat(mask, np.arange(0, height, near_px), axis=0)  # (H / near, W)
    labels, number = label(np.maximum.reduceat(across, np.arange(0, height, near_px), axis=0))
    top, bottom = _extent(labels, across, near_px, number)
    left, right = _extent(labels.T, down.T, near_px, number)
    edges = np.stack([top, left, bottom - top, right - left], axis=1)
    return sorted(Box(*edge) for edge in edges.tolist())


def _extent(
    labels: NDArray[np.int32], lines: NDArray[np.uint8], near_px: int, number: int
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """First line of each labelled hole, and the one behind its last: (h, w) cells, (H, w) -> (number,) each."""
    line, cell = np.nonzero(lines)
    whose = labels[line // near_px, cell] - 1
    first, behind = np.full(number, len(lines)), np.zeros(number, np.intp)
    np.minimum.at(first, whose, line)
    np.maximum.at(behind, whose, line + 1)
    return first, behind


def around(mask: NDArray[np.uint8], box: Box) -> Box | None:
    """The box of what is hole within a box; None if nothing is."""
    inside = mask[box.place]
    lines, columns = np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0))
    if not len(lines):
        return None
    top, left = int(lines[0]), int(columns[0])
    return Box(box.top + top, box.left + left, int(lines[-1]) - top + 1, int(columns[-1]) - left + 1)


def sums(mask: NDArray[np.uint8]) -> NDArray[np.int32]:
    """Hole pixels above and to the left of every corner: (H, W) -> (H + 1, W + 1)."""
    table = np.zeros((mask.shape[0] + 1, mask.shape[1] + 1), np.int32)
    np.cumsum(mask, axis=0, out=table[1:, 1:])
    np.cumsum(table[1:, 1:], axis=1, out=table[1:, 1:])
    return table


def holds_square(table: NDArray[np.int32], side_px: int) -> bool:
    """Whether a square of that side fits into the hole whose `sums` are given: a long scratch is as narrow as it is."""
    if min(table.shape) <= side_px:
        return False
    inside = table[side_px:, side_px:] - table[side_px:, :-side_px] - table[:-side_px, side_px:]
    return bool((inside + table[:-side_px, :-side_px] == side_px**2).any())
