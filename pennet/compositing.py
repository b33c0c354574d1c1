"""The mask convention of the whole project, and what follows from it: 1 = hole, 0 = known."""

from __future__ import annotations

import torch
from torch import Tensor


def composite(image: Tensor, prediction: Tensor, mask: Tensor) -> Tensor:
    """Prediction in the hole, image everywhere else: mask * prediction + (1 - mask) * image.

    Args:
        image, prediction: (B, 3, H, W).
        mask: (B, 1, H, W) in {0, 1}, 1 = hole.
    """
    return mask * prediction + (1 - mask) * image


def fill_hole(image: Tensor, mask: Tensor, value: float) -> Tensor:
    """The image with its hole pixels overwritten by a constant; nothing that was there, not even a NaN, gets through.

    Args:
        image: (B, 3, H, W).
        mask: (B, 1, H, W), 1 = hole.
        value: on the image's scale.
    """
    return torch.where(mask > 0, torch.full_like(image, value), image)


def hole_ratio(mask: Tensor) -> Tensor:
    """Share of hole pixels of each sample, in [0, 1]: (B, 1, H, W) -> (B,)."""
    return mask.float().mean(dim=(1, 2, 3))
