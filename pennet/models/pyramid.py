"""A picture at many scales, and its hole with it."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from pennet.models.attention import Holed


def holed_pyramid(picture: Tensor, mask: Tensor, num_scales: int) -> list[Holed]:
    """A picture at the scales 0 to num_scales - 1; a cell that a hole pixel lies in is hole.

    (B, D, H, W), (B, 1, H, W) -> (B, D, H / 2**s, W / 2**s) and (B, 1, H / 2**s, W / 2**s) each.
    """
    pyramid = [Holed(picture, mask > 0)]
    for _ in range(num_scales - 1):
        picture, mask = F.avg_pool2d(picture, 2), F.max_pool2d(mask, 2)
        pyramid.append(Holed(picture, mask > 0))
    return pyramid
