"""How rough a picture is around each of its pixels: what halving it loses, and what a smooth copy would lack."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

REACH_PX = 2
WEIGHT = 7.0
"""What a difference in roughness counts beside one in colour; squared it is the 50 of the source."""


def roughness(image: Tensor, mask: Tensor) -> Tensor:
    """Mean absolute difference between neighbouring pixels of the known part, along lines and along columns.

    Args:
        image: (3, H, W).
        mask: (1, H, W) in {0, 1}, 1 = hole.

    Returns:
        (2, H, W), weighted to be compared with the picture's colours; 0 where nothing around is known.

    Source: Newson et al., Video Inpainting of Complex Scenes, 2014, section 3.2. Without it patches that are alike at a
        small size are copied from smooth places: these are nearest to the mean of everything.
    """
    grey = F.pad(image.mean(dim=0, keepdim=True), (0, 1, 0, 1), mode="replicate")
    known = 1 - F.max_pool2d(F.pad(mask, (0, 1, 0, 1)), 2, stride=1)
    steps = torch.cat([grey[:, :-1, 1:], grey[:, 1:, :-1]]) - grey[:, :-1, :-1]
    share = _mean_around(known)
    return WEIGHT * _mean_around(steps.abs() * known) / share.clamp_min(1e-6)


def _mean_around(x: Tensor) -> Tensor:
    return F.avg_pool2d(x, 2 * REACH_PX + 1, stride=1, padding=REACH_PX)
