"""Which windows of a photo are looked at to fill its holes, and how much smaller.

A model paints well what has the size that it was trained for. So the factor of a hole follows from its breadth, the largest
square that fits into it: a scratch across the photo is narrow, and is filled at the photo's own size, piece by piece.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pennet.inpainter import Window
from pennet.inpainting.holes import Box, around, find_boxes, holds_square, sums

BROADEST = 5 / 8
"""Of the trained side: the largest square in a hole that a model fills. The masks of `many_sizes` hold ones up to 0.67."""
LONGEST_PX = 128
"""Longest piece of a hole as the network sees it, unless it learnt from larger pictures; a window's side is twice that."""
LEAST_KNOWN = 1 / 8
"""Of a window's cells: with less left to copy from, it is looked at less small."""
NEARLY = 3 / 5
"""Of the photo's side: a window that takes more takes all of it."""


@dataclass(frozen=True)
class Task:
    """What is painted at once: the hole pixels within boxes, seen with one window around them."""

    boxes: tuple[Box, ...]
    window: Window
    is_part: bool
    """Some of several pieces of a long hole; those that follow see what was painted here."""


@dataclass(frozen=True)
class Sight:
    """What a model looks at."""

    trained_px: int
    """Side of the pictures that it learnt from."""
    unit_px: int
    """What the sides of its input divide by."""


def lay_out(mask: NDArray[np.uint8], sight: Sight, own_size: bool) -> list[Task]:
    """The windows of a mask's holes, the ones seen smallest first: where boxes overlap, the finest picture stays.

    A hole that lies in another one's window is hole there, too: what one window paints does not depend on the others. The
    pieces of one long hole are the exception; each sees what was painted before it, so that they meet. What has the same
    window is painted at once.

    Args:
        mask: (H, W) in {0, 1}, 1 = hole.
        sight: of the model.
        own_size: look at everything at the photo's own size.
    """
    holes: dict[int, list[Box]] = {}
    for box in find_boxes(mask, max(1, sight.trained_px // 8)):
        holes.setdefault(needed_factor(mask, box, sight.trained_px), []).append(box)
    return [
        task for factor in sorted(holes, reverse=True) for task in _at_factor(mask, holes[factor], factor, sight, own_size)
    ]


def _at_factor(mask: NDArray[np.uint8], holes: list[Box], factor: int, sight: Sight, own_size: bool) -> list[Task]:
    """The windows of the holes that have to be seen so much smaller: of the long ones first, piece by piece."""
    longest_px = factor * max(sight.trained_px, LONGEST_PX)

    def seen(boxes: list[Box], are_parts: bool) -> list[Task]:
        return [Task((box,), _window(mask, box, factor, sight, own_size), are_parts) for box in boxes]

    parts: list[Task] = []
    wholes: list[Task] = []
    short: list[Box] = []
    for box in holes:
        pieces = list(_pieces(mask, box, longest_px))
        if len(pieces) == 1:
            short += pieces
        else:
            joined = at_once(seen(pieces, are_parts=True))
            (parts if joined[0].is_part else wholes).extend(joined)
    wholes += seen(merged(short, factor * sight.trained_px // 2), are_parts=False)
    return _in_whole_photo(mask, parts + at_once(wholes), 2 * longest_px)


def at_once(tasks: list[Task]) -> list[Task]:
    """Those with equal windows joined. Pieces of one hole that all have the same window are no pieces any more."""
    boxes: dict[Window, tuple[Box, ...]] = {}
    for task in tasks:
        boxes[task.window] = (*boxes.get(task.window, ()), *task.boxes)
    are_parts = len(boxes) > 1 and any(task.is_part for task in tasks)
    return [Task(own, window, are_parts) for window, own in boxes.items()]


def _in_whole_photo(mask: NDArray[np.uint8], tasks: list[Task], largest_px: int) -> list[Task]:
    """One task for a photo that one window may take all of, where several windows are more to look at than all of it."""
    height, width = mask.shape
    seen = {task.window.factor for task in tasks}
    work = sum(task.window.height * task.window.width for task in tasks)
    if len(tasks) < 2 or len(seen) > 1 or NEARLY * max(mask.shape) > largest_px or work < mask.size:
        return tasks
    (factor_seen,) = seen
    if known_share(mask, factor_seen) < LEAST_KNOWN:
        return tasks
    boxes = tuple(box for task in tasks for box in task.boxes)
    return [Task(boxes, Window(0, 0, height, width, factor_seen), is_part=False)]


def needed_factor(mask: NDArray[np.uint8], box: Box, trained_px: int) -> int:
    """How much smaller a hole has to be seen: the least power of two that makes it no broader than `BROADEST`."""
    factor, table = 1, None
    while min(box.height, box.width) > (broadest := int(BROADEST * trained_px * factor)):
        table = sums(mask[box.place]) if table is None else table
        if not holds_square(table, broadest + 1):
            break
        factor *= 2
    return factor


def _pieces(mask: NDArray[np.uint8], box: Box, longest_px: int) -> Iterator[Box]:
    """A box cut into equal parts that are no longer, each drawn close around its part of the hole."""
    lines, columns = _cuts(box.height, longest_px), _cuts(box.width, longest_px)
    if len(lines) == len(columns) == 2:
        yield box
        return
    for top, bottom in itertools.pairwise(lines):
        for left, right in itertools.pairwise(columns):
            part = around(mask, Box(box.top + top, box.left + left, bottom - top, right - left))
            if part is not None:
                yield part


def _cuts(length: int, longest_px: int) -> list[int]:
    parts = math.ceil(length / longest_px)
    return [length * i // parts for i in range(parts + 1)]


def merged(boxes: list[Box], side_px: int) -> list[Box]:
    """Boxes of which some were joined, each no larger than the side by that: many specks take few windows."""
    left = np.array([(b.top, b.left, b.top + b.height, b.left + b.width) for b in boxes], np.int64).reshape(-1, 4)
    joined = []
    while len(left):
        own, left = left[0], left[1:]
        while len(left):
            union = np.concatenate([np.minimum(own[:2], left[:, :2]), np.maximum(own[2:], left[:, 2:])], axis=1)
            fits = (union[:, 2:] - union[:, :2]).max(axis=1) <= side_px
            if not fits.any():
                break
            nearest = np.flatnonzero(fits)[(union[fits, 2:] - union[fits, :2]).sum(axis=1).argmin()]
            own, left = union[nearest], np.delete(left, nearest, axis=0)
        top, start, bottom, end = own.tolist()
        joined.append(Box(top, start, bottom - top, end - start))
    return joined


def _window(mask: NDArray[np.uint8], box: Box, factor: int, sight: Sight, own_size: bool) -> Window:
    """Twice the box and at least what was trained for, around it; more, or less small, where too little of it is known."""
    grow, factor_seen = 1, 1 if own_size else factor
    while True:
        sides = []
        for start, length, total in zip(box[:2], box[2:], mask.shape, strict=True):
            cell = factor_seen * sight.unit_px
            side = grow * max(2 * length, factor * sight.trained_px)
            sides.append(_span(start, length, -(-side // cell) * cell, total))
        (top, height), (left, width) = sides
        window = Window(top, left, height, width, factor_seen)
        known = known_share(mask[top : top + height, left : left + width], factor_seen)
        if known >= LEAST_KNOWN or (factor_seen == 1 and (known > 0 or (height, width) == mask.shape)):
            return window
        if factor_seen > 1:
            factor_seen //= 2
        else:
            grow *= 2


def _span(start: int, length: int, side: int, total: int) -> tuple[int, int]:
    """Where a window begins, and its side: its hole in the middle, as far as the photo reaches."""
    if side > NEARLY * total:
        return 0, total
    return min(max(start + length // 2 - side // 2, 0), total - side), side


def known_share(mask: NDArray[np.uint8], factor: int) -> float:
    """Share of whole cells of factor x factor pixels that no hole pixel lies in; cells at the far edge may be cut off."""
    height, width = mask.shape
    cells = np.maximum.reduceat(mask, np.arange(0, width, factor), axis=1)
    return 1 - float(np.maximum.reduceat(cells, np.arange(0, height, factor), axis=0).mean())
