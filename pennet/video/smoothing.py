"""What the frame before knows about a hole: its content, moved along with the hole's surroundings.

Attention fills every frame anew, and where two sources are nearly as good the choice jumps from frame to frame. Here a
hole pixel keeps what was copied to it before, as long as what is known around the hole says that the scene only moved: the
ring around the hole is found again in the frame before, at the shift that fits best. A pixel whose place lay outside the
hole then has been seen and is simply taken.

An average has no grain, and a hole that stands still in a noisy video is seen at once: noise as strong as that of the ring
is laid over it.

Source: ours; temporal recursive filtering with motion compensation (Dubois & Sabri, Noise Reduction in Image Sequences Using
    Motion-Compensated Temporal Filtering, 1984), with one motion for a hole.
"""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

KEPT = 0.95
"""Share of the frame before in a painted pixel when its surroundings only moved: an average of some twenty frames. More is
better under a moving camera, as less is averaged that does not fit, and worse where the light changes."""
TOLERANCE = 12.0
"""How much the ring may differ from the frame before, moved, of 255 and beyond its noise: at that much exp(-1) of the share
is left. A cut differs by 30 and more."""
RING_PX = 12
SEARCHED_PX = 8
"""Largest movement that is looked for between two frames, along each axis."""
COMPARED_PX = 20_000
"""Pixels of the ring that are compared at most."""

Frame = NDArray[np.uint8]
Mask = NDArray[np.bool_]
T = TypeVar("T", bound=np.generic)


def ring_around(hole: Mask, width_px: int = RING_PX) -> Mask:
    """Known pixels at most that far from a hole, along the axes and their sums: (H, W) -> (H, W)."""
    grown = hole
    for axis in (0, 1):
        length = hole.shape[axis]
        padded = np.pad(grown, [(width_px, width_px) if axis == a else (0, 0) for a in (0, 1)])
        total = np.cumsum(np.insert(padded, 0, False, axis=axis), axis=axis, dtype=np.int32)
        grown = np.take(total, np.arange(length) + 2 * width_px + 1, axis) > np.take(total, np.arange(length), axis)
    return grown & ~hole


class Smoother:
    """Fills the holes of one frame after the other, in order; holds one frame."""

    def __init__(self) -> None:
        self.before: NDArray[np.float32] | None = None
        self.seen: Mask = np.zeros((0, 0), bool)
        """Pixels of the frame before that were known, or taken from a place that was."""
        self.shift = (0, 0)
        self.grain = np.random.default_rng(0)

    def step(self, frame: Frame, hole: Mask, painted: Frame) -> Frame:
        """The next frame, its hole filled.

        Args:
            frame: (H, W, 3); what is in the hole is not looked at.
            hole: (H, W).
            painted: the frame with its hole filled by itself.
        """
        filled: NDArray[np.floating] = np.where(hole[..., None], painted, frame).astype(np.float32)
        seen, noise = ~hole, 0.0
        ring = ring_around(hole)
        if self.before is not None and hole.any() and ring.any():
            share, light, noise = self._likeness(frame, ring)
            carried, carried_seen = _moved(self.before, self.shift) * light, _moved(self.seen, self.shift)
            kept = share * np.where(carried_seen, 1.0, KEPT)[..., None].astype(np.float32)
            filled = np.where(hole[..., None], kept * carried + (1 - kept) * filled, filled)
            seen |= hole & carried_seen & (share > 0.5)
            averaged = hole & ~carried_seen  # what was taken has its grain
        self.before, self.seen = filled.clip(0, 255).astype(np.float32), seen
        if noise:
            filled = filled + share * self.grain.normal(0, noise, filled.shape) * averaged[..., None]
        return np.where(hole[..., None], filled.round().clip(0, 255).astype(np.uint8), frame)

    def _likeness(self, frame: Frame, ring: Mask) -> tuple[np.float32, NDArray[np.float32], float]:
        """Finds the ring in the frame before, and remembers the shift.

        Returns:
            How alike they are, in [0, 1]; how many times as light it is now, for each colour; the noise's deviation.
        """
        assert self.before is not None
        lines, columns = np.nonzero(ring)
        if (step := len(lines) // COMPARED_PX) > 1:
            lines, columns = lines[::step], columns[::step]
        now = frame[lines, columns].astype(np.float32)
        height, width = ring.shape
        known = self.seen

        def apart(shift: tuple[int, int]) -> tuple[float, NDArray[np.float32], float]:
            y, x = lines - shift[0], columns - shift[1]
            inside = (y >= 0) & (y < height) & (x >= 0) & (x < width)
            inside[inside] = known[y[inside], x[inside]]
            if 2 * np.count_nonzero(inside) < len(lines):
                return np.inf, np.ones(3, np.float32), 0.0
            then = self.before[y[inside], x[inside]]  # type: ignore[index]
            light = (now[inside].mean(axis=0) + 1) / (then.mean(axis=0) + 1)
            distances = np.abs(now[inside] - light * then)
            return float(distances.mean()), light, float(np.median(distances))

        # A camera moves on as it did: from the last shift, and from rest, to better neighbours until there is none.
        best = min({self.shift, (0, 0)}, key=lambda shift: apart(shift)[0])
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
        self.shift = best
        # What two frames differ by is noise or movement, what neighbours differ by noise or texture: the lesser is noise.
        noise = min(median * 1.4826 / np.sqrt(2), _noise(frame, lines, columns))
        distance = max(0.0, distance - 2 * noise / np.sqrt(np.pi))  # without what two noisy frames differ by anyway
        return np.float32(np.exp(-((distance / TOLERANCE) ** 2))), light, noise


def _noise(frame: Frame, lines: NDArray[np.intp], columns: NDArray[np.intp]) -> float:
    """Standard deviation of a picture's noise at some places, from what is left of them by the product of two second
    differences. Source: Immerkær, Fast Noise Variance Estimation, 1996, with the median for the mean.
    """
    height, width = frame.shape[:2]
    y, x = lines.clip(1, height - 2), columns.clip(1, width - 2)
    weights = {-1: 1, 0: -2, 1: 1}
    left = sum(a * b * frame[y + i, x + j].astype(np.int32) for i, a in weights.items() for j, b in weights.items())
    return float(np.median(np.abs(left)) * 1.4826 / 6)


def _moved(x: NDArray[T], shift: tuple[int, int]) -> NDArray[T]:
    """A frame moved by lines and columns; beyond its edge nothing is known: 0."""
    moved = np.zeros_like(x)
    (dy, dx), (height, width) = shift, x.shape[:2]
    moved[max(0, dy) : height + min(0, dy), max(0, dx) : width + min(0, dx)] = x[
        max(0, -dy) : height + min(0, -dy), max(0, -dx) : width + min(0, -dx)
    ]
    return moved
