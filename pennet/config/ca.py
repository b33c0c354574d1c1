"""The parameters of CA."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt

from pennet.config.methods import MethodConfig


@dataclass(frozen=True)
class CAConfig(MethodConfig):
    """CA: Generative Image Inpainting with Contextual Attention (Yu et al., CVPR 2018)."""

    method: Literal["ca"]
    base_width: Annotated[PositiveInt, Field(multiple_of=2)]
    """Channels of the first convolution; 32 in the paper."""
    softmax_scale: PositiveFloat
    """Inverse temperature of contextual attention; 10 in the paper."""
    discriminator_width: PositiveInt
    """Channels of the discriminators' first convolution; 64 in the paper."""
    discriminator_steps: PositiveInt
    """Discriminator updates, each with a batch of its own, for one generator update; 5 in the paper."""
    discriminator_learning_rate: PositiveFloat
    """Adam's step size for the discriminators, which the literature on Wasserstein GANs calls critics."""
    adversarial_weight: NonNegativeFloat
    """Weight of the two discriminators' scores; 0.001 in the paper."""
    gradient_penalty_weight: NonNegativeFloat
    """Weight of the gradient penalty; 10 in the paper."""
    l1_weight: NonNegativeFloat
    """Weight of the discounted L1 loss in the hole's box; 1.2 in the paper's release."""
    known_weight: NonNegativeFloat
    """Weight of the L1 loss outside the hole; 1.2 in the release."""
    coarse_weight: NonNegativeFloat
    """Weight of the coarse prediction inside both, beside 1 for the refined one; 1.2 in the release."""
    discount: Annotated[float, Field(gt=0, le=1)]
    """Factor of the L1 loss for each pixel of distance from the hole's border, in (0, 1]; 0.9 in the release."""

    def mismatches_with(self, image_size_px: int, name: str) -> Iterator[str]:
        if image_size_px % 8:
            yield f"is not a multiple of 8, as recipes.{name} needs"
