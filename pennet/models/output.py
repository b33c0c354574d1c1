"""What every generator returns."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor


class GeneratorOutput(NamedTuple):
    image: Tensor
    """The prediction: (B, 3, H, W) in [-1, 1], known pixels included; composite it before you look at it."""
    pyramid: tuple[Tensor, ...]
    """RGB predictions at smaller scales, coarse to fine: (B, 3, H/2**k, W/2**k) in [-1, 1]."""
