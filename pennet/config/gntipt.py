"""The parameters of GntIpt."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from pennet.config.limits import Limits, limits_of_every_method, positive


@dataclass(frozen=True)
class GntIptConfig:
    """GntIpt: Free-Form Image Inpainting with Gated Convolution (Yu et al., ICCV 2019)."""

    method: Literal["gntipt"]
    """Which method this is a recipe of."""
    base_width: int
    """Channels of the first gated convolution, half of which are features; 48 in the paper."""
    softmax_scale: float
    """Inverse temperature of contextual attention; 10 in the paper."""
    critic_width: int
    """Channels of the critic's first convolution; 64 in the paper."""
    initialisation: Literal["normal", "kaiming"]
    """As for PEN-Net."""
    adversarial_weight: float
    """Weight of the critic's logits; 1 in the paper."""
    l1_weight: float
    """Weight of the L1 losses of both predictions over the whole picture; 1 in the paper."""
    learning_rate: float
    """Adam's step size for the generator."""
    critic_learning_rate: float
    """Adam's step size for the critic."""
    adam_betas: list[float]
    """Adam's two decay rates."""
    lr_milestones: list[float]
    """Shares of the budget, in (0, 1), after which both step sizes are multiplied by `lr_decay_factor`."""
    lr_decay_factor: float
    """Factor at each milestone."""

    def limits(self) -> Limits:
        yield from limits_of_every_method(self)
        yield from positive(self, "critic_width", "critic_learning_rate", "l1_weight")
        yield self.base_width % 4 == 0, "base_width", "must be a multiple of 4"

    def mismatches_with(self, image_size_px: int, name: str) -> Iterator[str]:
        """As for PEN-Net."""
        if image_size_px % 8:
            yield f"{image_size_px} is not a multiple of 8, as recipes.{name} needs"
