"""What the frame before knows about a hole: its content, moved along with the hole's surroundings.

A hole pixel keeps what was copied to it before, as long as what is known around the hole says that the scene only moved. A
pixel whose place lay outside the hole then has been seen and is simply taken.

An average has no grain, and a hole that stands still in a noisy video is seen at once: noise as strong as that of the ring
is laid over it.

Source: ours; temporal recursive filtering with motion compensation (Dubois & Sabri, Noise Reduction in Image Sequences Using
    Motion-Compensated Temporal Filtering, 1984), with one motion for a hole.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pennet.video.motion import LEAST_SHARE, Frame, Mask, Motion, moved

KEPT = 0.95
"""Share of the frame before in a painted pixel when its surroundings only moved: an average of some twenty frames. More is
better under a moving camera, as less is averaged that does not fit, and worse where the light changes."""


class Smoother:
    """Carries the content of holes from one frame to the next, in order; holds one frame."""

    def __init__(self) -> None:
        self.before: NDArray[np.float32] | None = None
        self.seen: Mask = np.zeros((0, 0), bool)
        """Pixels of the frame before that were known, or taken from a place that was."""
        self.rest = np.zeros(2)
        """By how much less than a pixel the frame before was moved than its surroundings."""
        self.grain = np.random.default_rng(0)

    def take(self, frame: Frame, hole: Mask, motion: Motion | None) -> tuple[Frame, Mask]:
        """The next frame with those pixels of its hole that were seen before, and the hole that is left, (H, W).

        Args:
            frame: (H, W, 3); what is in the hole is not looked at.
            hole: (H, W).
            motion: since the frame before; None if there is none.
        """
        seen = ~hole
        if self.before is not None and motion is not None:
            self.rest = self.rest + motion.px
            shift = round(self.rest[0]), round(self.rest[1])
            self.rest = self.rest - shift
            self.before = (moved(self.before, shift) * motion.light).clip(0, 255)
            if motion.share >= LEAST_SHARE:
                seen |= moved(self.seen, shift)
                frame = np.where((hole & seen)[..., None], self.before.round().astype(np.uint8), frame)
        self.seen = seen
        return frame, ~seen

    def step(self, frame: Frame, left: Mask, painted: Frame, motion: Motion | None, kept: float = KEPT) -> Frame:
        """The next frame, its hole filled.

        Args:
            frame, left: from `take`, whose motion this is.
            painted: that frame with the hole that is left filled.
            kept: share of the frame before in a painted pixel; 0 averages nothing.
        """
        share = np.float32(motion.share * kept if motion is not None and self.before is not None else 0)
        exact = np.where(left[..., None], painted, frame).astype(np.float32)
        averaged = (
            exact if self.before is None else np.where(left[..., None], share * self.before + (1 - share) * exact, exact)
        )
        self.before = averaged
        if motion is not None and share and motion.noise:
            averaged = averaged + share * self.grain.normal(0, motion.noise, averaged.shape)
        return np.where(left[..., None], averaged.round().clip(0, 255).astype(np.uint8), frame)
