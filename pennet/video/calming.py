"""A hole filled calmly: what was seen is taken, attention remembers, and without such attention frames are averaged."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pennet.video.motion import Frame, Mask, Surroundings
from pennet.video.smoothing import KEPT, Smoother

if TYPE_CHECKING:
    from pennet.video.attention_memory import AttentionMemory

Fill = Callable[[Frame, NDArray[np.uint8]], Frame]
"""(frame (H, W, 3), mask (H, W), 1 = hole) -> the frame, filled by itself."""


class Calmed:
    """Fills the holes of one frame after the other, in order.

    Args:
        fill: fills one frame by itself.
        memory: fills it by attention that remembers, of the same model; None for a model that cannot.
    """

    def __init__(self, fill: Fill, memory: AttentionMemory | None = None):
        self.fill, self.memory = fill, memory
        self.surroundings, self.smoother = Surroundings(), Smoother()

    def step(self, frame: Frame, hole: Mask) -> Frame:
        """The next frame, its hole filled: (H, W, 3), whose hole is not looked at, and (H, W)."""
        motion = self.surroundings.step(frame, hole)
        taken, left = self.smoother.take(frame, hole, motion)
        if self.memory:
            painted = self.memory.fill(taken, left, motion)
        else:
            painted = self.fill(taken, left.astype(np.uint8)) if left.any() else taken
        # Copies of attention that keeps its sources do not jump: an average would only blur them (docs/video.md).
        kept = 0.0 if self.memory and self.memory.decides_all else KEPT
        return self.smoother.step(taken, left, painted, motion, kept)
