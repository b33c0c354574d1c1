"""How much a hole flickers: how much more it changes from frame to frame than what is known around it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pennet.video.motion import ring_around


class Flicker:
    """Mean absolute difference of consecutive frames, of 255, in the hole minus that in the ring around it.

    Only pixels that are in the hole (in the ring) of both frames count. 0: as calm as its surroundings; below 0: calmer,
    as where the surroundings are noisy. It holds one frame.
    """

    def __init__(self) -> None:
        self.before: tuple[NDArray[np.uint8], NDArray[np.bool_], NDArray[np.bool_]] | None = None
        """The last frame, its hole and ring; None after a gap, over which nothing is compared."""
        self.differences: list[float] = [0.0, 0.0]
        self.pixels: list[int] = [0, 0]

    def add(self, frame: NDArray[np.uint8], hole: NDArray[np.bool_]) -> None:
        """The next frame, filled: (H, W, 3) and its hole, (H, W)."""
        ring = ring_around(hole)
        if self.before is not None:
            previous, *parts_before = self.before
            for i, (part, part_before) in enumerate(zip((hole, ring), parts_before, strict=True)):
                both = part & part_before
                self.pixels[i] += int(np.count_nonzero(both))
                self.differences[i] += float(np.abs(frame[both].astype(np.int16) - previous[both]).mean(axis=1).sum())
        self.before = frame, hole, ring

    @property
    def hole_change(self) -> float | None:
        """Mean absolute difference in the hole alone, of 255; None of fewer than two frames with a hole."""
        return self.differences[0] / self.pixels[0] if self.pixels[0] else None

    @property
    def value(self) -> float | None:
        """The measure; None of fewer than two frames with a hole and something known around it."""
        if not all(self.pixels):
            return None
        hole, ring = (total / count for total, count in zip(self.differences, self.pixels, strict=True))
        return hole - ring
