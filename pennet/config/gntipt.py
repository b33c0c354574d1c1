"""The parameters of GntIpt."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt

from pennet.config.methods import MethodConfig


@dataclass(frozen=True)
class GntIptConfig(MethodConfig):
    """GntIpt: Free-Form Image Inpainting with Gated Convolution (Yu et al., ICCV 2019)."""

    method: Literal["gntipt"]
    base_width: Annotated[PositiveInt, Field(multiple_of=4)]
    """Channels of the first gated convolution, half of which are features; 48 in the paper."""
    softmax_scale: PositiveFloat
    """Inverse temperature of contextual attention; 10 in the paper."""
    discriminator_width: PositiveInt
    """Channels of the discriminator's first convolution; 64 in the paper."""
    discriminator_learning_rate: PositiveFloat
    """Adam's step size for the discriminator."""
    adversarial_weight: NonNegativeFloat
    """Weight of the discriminator's logits; 1 in the paper."""
    l1_weight: PositiveFloat
    """Weight of the L1 losses of both predictions over the whole picture; 1 in the paper."""

    def mismatches_with(self, image_size_px: int, name: str) -> Iterator[str]:
        if image_size_px % 8:
            yield f"is not a multiple of 8, as recipes.{name} needs"
