"""How a hole's surroundings moved since the frame before: the ring around the hole is found again, where it fits best.

One motion for all holes; and how well the ring fits says whether what is remembered still means anything.

Source of the part of a pixel: one step of Lucas & Kanade, An Iterative Image Registration Technique, 1981.
"""

from __future__ import annotations

from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

TOLERANCE = 12.0
"""How much the ring may differ from the frame before, moved, of 255 and beyond its noise: at that much exp(-1) of the share
is left. A cut differs by 30 and more."""
LEAST_SHARE = 0.5
"""Where the surroundings are less alike than that nothing is remembered: a cut begins anew."""
RING_PX = 12
SEARCHED_PX = 8
"""Largest movement that is looked for between two frames, along each axis."""
COMPARED_PX = 20_000
"""Pixels of the ring that are compared at most."""
STILL_PX = 0.05
"""Smaller parts of a pixel are noise, with which what is carried along would drift under a camera that stands still."""

Frame = NDArray[np.uint8]
Mask = NDArray[np.bool_]
T = TypeVar("T", bound=np.generic)


class Motion(NamedTuple):
    """What happened to a hole's surroundings since the frame before."""

    px: tuple[float, float]
    """Lines and columns: what was at (y, x) is at (y + px[0], x + px[1])."""
    share: float
    """How alike they are, in [0, 1]; 0 of another scene."""
    light: NDArray[np.float32]
    """(3,): how many times as light they are, for each colour."""
    noise: float
    """Standard deviation of the noise, of 255."""


def ring_around(hole: Mask, width_px: int = RING_PX) -> Mask:
    """Known pixels at most that far from a hole, along the axes and their sums: (H, W) -> (H, W)."""
    grown = hole
    for axis in (0, 1):
        length = hole.shape[axis]
        padded = np.pad(grown, [(width_px, width_px) if axis == a else (0, 0) for a in (0, 1)])
        total = np.cumsum(np.insert(padded, 0, False, axis=axis), axis=axis, dtype=np.int32)
        grown = np.take(total, np.arange(length) + 2 * width_px + 1, axis) > np.take(total, np.arange(length), axis)
    return grown & ~hole


class Surroundings:
    """Follows what is around the hole from frame to frame; holds one frame."""

    def __init__(self) -> None:
        self.before: tuple[Frame, Mask] | None = None
        self.shift = (0, 0)
        """The last motion, in whole pixels."""

    def step(self, frame: Frame, hole: Mask) -> Motion | None:
        """The motion of the next frame; None of the first one, and where nothing is known around the hole.

        Args:
            frame: (H, W, 3); what is in the hole is not looked at.
            hole: (H, W).
        """
        ring, before, self.before = ring_around(hole), self.before, (frame, ~hole)
        if before is None or not ring.any():
            return None
        motion = find_motion(frame, ring, *before, self.shift)
        self.shift = round(motion.px[0]), round(motion.px[1])
        return motion


def find_motion(frame: Frame, ring: Mask, before: Frame, known: Mask, last: tuple[int, int]) -> Motion:
    """Finds the ring of a frame in the frame before.

    Args:
        frame: (H, W, 3).
        ring: (H, W), some of its pixels; they and their neighbours are looked at.
        before: (H, W, 3), the frame before.
        known: (H, W), what of it may be compared.
        last: the shift from the frame before that one.
    """
    lines, columns = np.nonzero(ring)
    if (step := len(lines) // COMPARED_PX) > 1:
        lines, columns = lines[::step], columns[::step]
    now = frame[lines, columns].astype(np.float32)
    height, width = ring.shape

    def apart(shift: tuple[int, int]) -> tuple[float, NDArray[np.float32], float]:
        y, x = lines - shift[0], columns - shift[1]
        inside = (y >= 0) & (y < height) & (x >= 0) & (x < width)
        inside[inside] = known[y[inside], x[inside]]
        if 2 * np.count_nonzero(inside) < len(lines):
            return np.inf, np.ones(3, np.float32), 0.0
        then = before[y[inside], x[inside]].astype(np.float32)
        light = (now[inside].mean(axis=0) + 1) / (then.mean(axis=0) + 1)
        distances = np.abs(now[inside] - light * then)
        return float(distances.mean()), light, float(np.median(distances))

    # A camera moves on as it did: from the last shift, and from rest, to better neighbours until there is none.
    best = min({last, (0, 0)}, key=lambda shift: apart(shift)[0])
    tried = {best: apart(best)}
    while True:
        for dy in (-1, 0, 1):
            for dx in (-1, 0, 1):
                shift = best[0] + dy, best[1] + dx
                if shift not in tried and max(abs(shift[0]), abs(shift[1])) <= SEARCHED_PX:
                    tried[shift] = apart(shift)
        better = min(tried, key=lambda shift: tried[shift][0])
        if better == best:
            break
        best = better
    distance, light, median = tried[best]
    # What two frames differ by is noise or movement, what neighbours differ by noise or texture: the lesser is noise.
    noise = min(median * 1.4826 / np.sqrt(2), _noise(frame, lines, columns))
    distance = max(0.0, distance - 2 * noise / np.sqrt(np.pi))  # without what two noisy frames differ by anyway
    part = _part(frame, before, known, lines, columns, best, light)
    px = best[0] + part[0], best[1] + part[1]
    return Motion(px, float(np.exp(-((distance / TOLERANCE) ** 2))), light, noise)


def _part(
    frame: Frame,
    before: Frame,
    known: Mask,
    lines: NDArray[np.intp],
    columns: NDArray[np.intp],
    shift: tuple[int, int],
    light: NDArray[np.float32],
) -> tuple[float, float]:
    """By how much less than a pixel places moved beyond a shift, from the slopes of the frame before."""
    height, width = known.shape
    y, x = lines - shift[0], columns - shift[1]
    inside = (y > 0) & (y < height - 1) & (x > 0) & (x < width - 1)
    lines, columns, y, x = lines[inside], columns[inside], y[inside], x[inside]
    inside = known[y, x] & known[y - 1, x] & known[y + 1, x] & known[y, x - 1] & known[y, x + 1]
    lines, columns, y, x = lines[inside], columns[inside], y[inside], x[inside]
    if not len(lines):
        return 0.0, 0.0
    then = before.astype(np.float32) * light
    slopes = [then[y + 1, x] - then[y - 1, x], then[y, x + 1] - then[y, x - 1]]
    rows = np.stack([slope.ravel() / 2 for slope in slopes], axis=1)
    part = np.linalg.lstsq(rows, (then[y, x] - frame[lines, columns]).ravel(), rcond=None)[0].clip(-0.5, 0.5)
    part = np.where(np.abs(part) > STILL_PX, part, 0.0)
    return float(part[0]), float(part[1])


def _noise(frame: Frame, lines: NDArray[np.intp], columns: NDArray[np.intp]) -> float:
    """Standard deviation of a picture's noise at some places, from what is left of them by the product of two second
    differences. Source: Immerkær, Fast Noise Variance Estimation, 1996, with the median for the mean.
    """
    height, width = frame.shape[:2]
    y, x = lines.clip(1, height - 2), columns.clip(1, width - 2)
    weights = {-1: 1, 0: -2, 1: 1}
    left = sum(a * b * frame[y + i, x + j].astype(np.int32) for i, a in weights.items() for j, b in weights.items())
    return float(np.median(np.abs(left)) * 1.4826 / 6)


def moved(x: NDArray[T], shift: tuple[int, int]) -> NDArray[T]:
    """A picture moved by lines and columns; beyond its edge nothing is known: 0."""
    there = np.zeros_like(x)
    (dy, dx), (height, width) = shift, x.shape[:2]
    if abs(dy) < height and abs(dx) < width:
        there[max(0, dy) : height + min(0, dy), max(0, dx) : width + min(0, dx)] = x[
            max(0, -dy) : height + min(0, -dy), max(0, -dx) : width + min(0, -dx)
        ]
    return there
