"""The parameters of CA."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from pennet.config.limits import Limits, limits_of_every_method, not_negative, positive


@dataclass(frozen=True)
class CAConfig:
    """CA: Generative Image Inpainting with Contextual Attention (Yu et al., CVPR 2018)."""

    method: Literal["ca"]
    """Which method this is a recipe of."""
    base_width: int
    """Channels of the first convolution; 32 in the paper."""
    softmax_scale: float
    """Inverse temperature of contextual attention; 10 in the paper."""
    critic_width: int
    """Channels of the critics' first convolution; 64 in the paper."""
    critic_steps: int
    """Critic updates, each with a batch of its own, for one generator update; 5 in the paper."""
    initialisation: Literal["normal", "kaiming"]
    """As for PEN-Net."""
    adversarial_weight: float
    """Weight of the two critics' scores; 0.001 in the paper."""
    gradient_penalty_weight: float
    """Weight of the gradient penalty; 10 in the paper."""
    l1_weight: float
    """Weight of the discounted L1 loss in the hole's box; 1.2 in the paper's release."""
    known_weight: float
    """Weight of the L1 loss outside the hole; 1.2 in the release."""
    coarse_weight: float
    """Weight of the coarse prediction inside both, beside 1 for the refined one; 1.2 in the release."""
    discount: float
    """Factor of the L1 loss for each pixel of distance from the hole's border, in (0, 1]; 0.9 in the release."""
    learning_rate: float
    """Adam's step size for the generator."""
    critic_learning_rate: float
    """Adam's step size for the critics."""
    adam_betas: list[float]
    """Adam's two decay rates."""
    lr_milestones: list[float]
    """As for PEN-Net."""
    lr_decay_factor: float
    """Factor at each milestone."""

    def limits(self) -> Limits:
        yield from limits_of_every_method(self)
        yield from positive(self, "critic_width", "critic_steps", "critic_learning_rate")
        yield from not_negative(self, "gradient_penalty_weight", "l1_weight", "known_weight", "coarse_weight")
        yield self.base_width % 2 == 0, "base_width", "must be even"
        yield 0 < self.discount <= 1, "discount", "must be in (0, 1]"

    def mismatches_with(self, image_size_px: int, name: str) -> Iterator[str]:
        """As for PEN-Net."""
        if image_size_px % 8:
            yield f"{image_size_px} is not a multiple of 8, as recipes.{name} needs"
