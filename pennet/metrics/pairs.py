"""What is scored: pictures in pairs, with their masks, read when they are needed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

LoadImage = Callable[[int], NDArray[np.uint8]]
"""Image number i as uint8 (H,W,C)."""


@dataclass(frozen=True)
class Pairs:
    """Pictures to score, all of one size, loaded when they are needed."""

    names: list[str]
    fake: LoadImage
    """What was made: for a method of this project its composite."""
    real: LoadImage
    """The ground truth."""
    mask: LoadImage | None
    """(H,W), 1 = hole; None if there are none."""
    composited: set[int] | None = None
    """Numbers of the pictures whose known pixels differed from the truth's and that `fake` composited; it fills as they are
    loaded. None if `fake` gives them as they came."""
    reopen: Callable[[], Pairs] | None = None
    """Gives the same pairs in another process, and pickles as little; None if they cannot be had there."""

    def __len__(self) -> int:
        return len(self.names)

    def taken(self, numbers: Sequence[int]) -> Pairs:
        """The pairs of these numbers, in this order."""
        mask = self.mask
        return Pairs(
            [self.names[i] for i in numbers],
            fake=lambda i: self.fake(numbers[i]),
            real=lambda i: self.real(numbers[i]),
            mask=None if mask is None else lambda i: mask(numbers[i]),
        )
