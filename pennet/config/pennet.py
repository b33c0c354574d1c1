"""The parameters of PEN-Net."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt

from pennet.config.methods import MethodConfig
from pennet.config.section import Limits, Ratio


@dataclass(frozen=True)
class PENNetConfig(MethodConfig):
    """PEN-Net: Learning Pyramid-Context Encoder Network for High-Quality Image Inpainting (Zeng et al., CVPR 2019)."""

    method: Literal["pennet"]
    num_levels: Annotated[int, Field(ge=2, le=8)]
    """Scales of the pyramid-context encoder, L in the paper; 6 is the released depth. The side must divide by 2**L."""
    base_width: PositiveInt
    """Channels of the first scale."""
    attention_mode: Literal["paper", "released"]
    """`paper`: cosine softmax over valid positions, holes only; `released`: the behaviour of the authors' code."""
    attention_levels: Literal["all", "deepest", "none"]
    """Where the Attention Transfer Network works; `none` is a plain U-Net."""
    full_resolution: bool
    """Whether the encoder begins with a map of the picture's own resolution, and transfer ends there."""
    fills: Annotated[list[Literal["features", "picture"]], Field(min_length=1)]
    """What transfer fills: `features`, the paper's; `picture`, the picture itself, and the decoder adds to the copy."""
    affinity: Literal["cosine", "euclidean", "picture"]
    """Likeness of two patches: of features (cosine is the paper's), or of the picture as far as it is filled."""
    patch_sizes: Annotated[list[Annotated[int, Field(ge=1, le=15)]], Field(min_length=2, max_length=2)]
    """Sides of the compared patches, odd: at the deepest transfer and at all others; [1, 3] in the release."""
    finest_attention: PositiveInt
    """The finest scale whose patches are compared; scales above it are filled with its attention. 1 is the paper's."""
    middle_weight: Annotated[float, Field(ge=1)]
    """What the middle of a copied patch counts beside its margin of 1 px, where copies overlap; 1 is the paper's."""
    softmax_scale: PositiveFloat
    """Inverse temperature of the attention softmax."""
    valid_threshold: Ratio
    """A patch may be copied if at most this share of it lies in the hole, in [0, 1) (`paper` mode only)."""
    dilations: list[PositiveInt]
    """Dilation of the parallel convolutions that refine a filled map and share its channels; none if empty."""
    discriminator_width: PositiveInt
    """Channels of the discriminator's first convolution; 64 in the paper."""
    discriminator_strides: Annotated[list[Annotated[int, Field(ge=1, le=2)]], Field(min_length=1)]
    """Strides of its convolutions, 1 or 2; [2, 2, 2, 1] in the paper. Fewer halvings judge smaller patches."""
    discriminator_learning_rate: PositiveFloat
    """Adam's step size for the discriminator."""
    adversarial_loss: Literal["hinge", "nsgan"]
    """Form of the adversarial loss."""
    adversarial_weight: NonNegativeFloat
    """Weight of the adversarial loss; 0.1 in the paper, 0 trains no discriminator."""
    hole_weight: NonNegativeFloat
    """Weight of the L1 loss in the hole; 6 in the paper."""
    hole_cell_px: PositiveInt
    """Side of the cells over which that loss averages both pictures; 1 is the paper's. Larger ones leave texture alone."""
    valid_weight: NonNegativeFloat
    """Weight of the L1 loss outside it; 1 in the paper."""
    pyramid_weight: NonNegativeFloat
    """Weight of the pyramid L1 loss; 0.5 in the paper, 0 leaves it out."""

    def limits(self) -> Limits:
        narrowest, share = (self.base_width // 2, "half of ") if self.full_resolution else (self.base_width, "")
        yield narrowest > 0, "base_width", "must be 2 or more with full_resolution: true, whose first map has half as many"
        yield (
            len(self.dilations) <= max(narrowest, 1),
            "dilations",
            f"must not be more than {share}base_width ({self.base_width}), so that each has a channel",
        )
        copies = "picture" in self.fills
        yield self.full_resolution or not copies, "fills", "can hold picture only with full_resolution: true"
        yield len(set(self.fills)) == len(self.fills), "fills", "must not hold anything twice"
        yield all(size % 2 for size in self.patch_sizes), "patch_sizes", "must be odd"
        yield (
            self.finest_attention <= self.num_levels,
            "finest_attention",
            f"must be one of the scales up to num_levels ({self.num_levels})",
        )
        if self.attention_mode == "released":
            yield self.affinity == "cosine", "affinity", "needs attention_mode: paper"
            yield not copies, "fills", "can hold picture only with attention_mode: paper"
            yield self.finest_attention == 1, "finest_attention", "must be 1 with attention_mode: released"
            yield self.middle_weight == 1, "middle_weight", "must be 1 with attention_mode: released"
        else:
            yield copies or self.affinity != "picture", "affinity", "can be picture only where fills holds picture"

    def mismatches_with(self, image_size_px: int, name: str) -> Iterator[str]:
        smallest = smallest_judged_side_px(self.discriminator_strides)
        if self.adversarial_weight and image_size_px < smallest:
            yield (
                f"is too small for the discriminator of recipes.{name}, which needs"
                f" {smallest} px; enlarge it, or set fewer halvings (discriminator_strides) or adversarial_weight: 0"
            )
        if image_size_px % self.hole_cell_px:
            yield f"is not a multiple of recipes.{name}.hole_cell_px ({self.hole_cell_px}); set one that divides it"
        unit = 2**self.num_levels
        if image_size_px % unit:
            yield (f"is not a multiple of 2**recipes.{name}.num_levels ({unit}); use a multiple of {unit} or fewer levels")


def smallest_judged_side_px(strides: Sequence[int]) -> int:
    """The side from which PEN-Net's discriminator has a logit to give.

    Args:
        strides: of its 5x5 convolutions, whose padding is 1.
    """
    side = 3  # of the last convolution
    for stride in reversed(strides):
        side = (side - 1) * stride + 3
    return side
