"""The parameters of PEN-Net."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from pennet.config.limits import Limits, limits_of_every_method, not_negative, positive


@dataclass(frozen=True)
class PENNetConfig:
    """PEN-Net: architecture, losses and optimiser (Zeng et al., CVPR 2019)."""

    method: Literal["pennet"]
    """Which method this is a recipe of."""
    num_levels: int
    """Scales of the pyramid-context encoder, L in the paper; 6 is the released depth. The side must divide by 2**L."""
    base_width: int
    """Channels of the first scale."""
    attention_mode: Literal["paper", "released"]
    """`paper`: cosine softmax over valid positions, holes only; `released`: the behaviour of the authors' code."""
    attention_levels: Literal["all", "deepest", "none"]
    """Where the Attention Transfer Network works; `none` is a plain U-Net."""
    affinity: Literal["cosine", "euclidean"]
    """Likeness of two patches (`paper` mode only; `released` is always cosine-like)."""
    softmax_scale: float
    """Inverse temperature of the attention softmax."""
    valid_threshold: float
    """A patch may be copied if at most this share of it lies in the hole, in [0, 1) (`paper` mode only)."""
    dilations: list[int]
    """Dilation of the parallel convolutions that refine a filled map and share its channels; none if empty."""
    discriminator_width: int
    """Channels of the discriminator's first convolution; 64 in the paper."""
    discriminator_strides: list[int]
    """Strides of its convolutions, 1 or 2; [2, 2, 2, 1] in the paper. Fewer halvings judge smaller patches."""
    initialisation: Literal["normal", "kaiming"]
    """`normal` is N(0, 0.02), the paper's; `kaiming` starts faster at a small width."""
    adversarial_loss: Literal["hinge", "nsgan"]
    """Form of the adversarial loss."""
    adversarial_weight: float
    """Weight of the adversarial loss; 0.1 in the paper, 0 trains no discriminator."""
    hole_weight: float
    """Weight of the L1 loss in the hole; 6 in the paper."""
    valid_weight: float
    """Weight of the L1 loss outside it; 1 in the paper."""
    pyramid_weight: float
    """Weight of the pyramid L1 loss; 0.5 in the paper, 0 leaves it out."""
    learning_rate: float
    """Adam's step size for the generator."""
    discriminator_learning_rate: float
    """Adam's step size for the discriminator."""
    adam_betas: list[float]
    """Adam's two decay rates."""
    lr_milestones: list[float]
    """Shares of the budget, in (0, 1), after which both step sizes are multiplied by `lr_decay_factor`."""
    lr_decay_factor: float
    """Factor at each milestone."""

    def limits(self) -> Limits:
        yield from limits_of_every_method(self)
        yield from positive(self, "discriminator_width", "discriminator_learning_rate")
        yield from not_negative(self, "hole_weight", "valid_weight", "pyramid_weight")
        strides = self.discriminator_strides
        yield bool(strides) and set(strides) <= {1, 2}, "discriminator_strides", "must be a non-empty list of 1 and 2"
        yield 2 <= self.num_levels <= 8, "num_levels", "must be from 2 to 8"
        yield 0 <= self.valid_threshold < 1, "valid_threshold", "must be in [0, 1)"
        yield (
            len(self.dilations) <= self.base_width,
            "dilations",
            f"must not be more than base_width ({self.base_width}), so that each has a channel",
        )
        yield all(d > 0 for d in self.dilations), "dilations", "must be positive"
        yield self.attention_mode == "paper" or self.affinity == "cosine", "affinity", "needs attention_mode: paper"

    def mismatches_with(self, image_size_px: int, name: str) -> Iterator[str]:
        """Why images of that size do not suit the recipe of that name: what to print after the size's path."""
        smallest = smallest_judged_side_px(self.discriminator_strides)
        if self.adversarial_weight and image_size_px < smallest:
            yield (
                f"{image_size_px} is too small for the discriminator of recipes.{name}, which needs"
                f" {smallest} px; enlarge it, or set fewer halvings (discriminator_strides) or adversarial_weight: 0"
            )
        unit = 2**self.num_levels
        if image_size_px % unit:
            yield (
                f"{image_size_px} is not a multiple of 2**recipes.{name}.num_levels"
                f" ({unit}); use a multiple of {unit} or fewer levels"
            )


def smallest_judged_side_px(strides: Sequence[int]) -> int:
    """The side from which PEN-Net's discriminator has a logit to give.

    Args:
        strides: of its 5x5 convolutions, whose padding is 1.
    """
    side = 3  # of the last convolution
    for stride in reversed(strides):
        side = (side - 1) * stride + 3
    return side
