"""A frame's hole filled calmly: seen content is taken, attention remembers, and without such attention content is averaged."""

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
        # Attention that keeps its sources does not jump: averaging its copies would only blur them (docs/video.md).
        self.surroundings, self.smoother = Surroundings(), Smoother(0.0 if memory else KEPT)

    def step(self, frame: Frame, hole: Mask) -> Frame:
        """The next frame, its hole filled: (H, W, 3), whose hole is not looked at, and (H, W)."""
        motion = self.surroundings.step(frame, hole)
        taken, left = self.smoother.take(frame, hole, motion)
        if self.memory:
            painted = self.memory.fill(taken, left, motion)
        else:
            painted = self.fill(taken, left.astype(np.uint8)) if left.any() else taken
        return self.smoother.step(taken, left, painted, motion)
