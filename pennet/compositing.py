"""The mask convention of the whole project: 1 = hole."""

import torch
from torch import Tensor


def composite(image: Tensor, prediction: Tensor, mask: Tensor) -> Tensor:
    return mask * prediction + (1 - mask) * image


def fill_hole(image: Tensor, mask: Tensor, value: float) -> Tensor:
    return torch.where(mask > 0, torch.full_like(image, value), image)
