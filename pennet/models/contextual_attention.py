"""Contextual attention: a hole is rebuilt from the known patches of the same map (Yu et al. 2018, section 4).

The same machinery as PEN-Net's attention transfer, with one map in both parts, and with a fusion that makes
neighbouring positions copy from neighbouring places.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

KERNEL_SIZE = 3
RATE = 2
"""Patches are compared at half the map's resolution and copied at the full one."""


def contextual_attention(features: Tensor, mask: Tensor, softmax_scale: float) -> Tensor:
    """Rebuilds every position of a map from its own known patches.

    Args:
        features: (B, C, 2h, 2w).
        mask: (B, 1, H, W) in {0, 1}, 1 = hole, at any resolution that is a multiple of h x w. One mask per sample.
        softmax_scale: inverse temperature; 10 in the paper.

    Returns:
        (B, C, 2h, 2w). A sample without any valid place becomes 0, as every weight is masked.

    Source: Yu et al. 2018, section 4.1; key patches are normalised, query patches are not.
    """
    deep = features[:, :, ::RATE, ::RATE]
    height, width = deep.shape[-2:]
    level_mask = F.interpolate(mask, (height, width), mode="nearest")
    radius = KERNEL_SIZE // 2
    valid = (F.max_pool2d(level_mask, KERNEL_SIZE, stride=1, padding=radius) == 0).flatten(1)[:, None].to(features.dtype)
    queries = F.unfold(deep, KERNEL_SIZE, padding=radius).transpose(1, 2)  # (B, hw, 9 C)
    keys = queries / queries.norm(dim=2, keepdim=True).clamp_min(1e-4)
    scores = fuse(queries @ keys.transpose(1, 2), height, width) * valid
    weights = torch.softmax(scores * softmax_scale, dim=2) * valid
    copies = F.unfold(features, 2 * RATE, stride=RATE, padding=RATE // 2).transpose(1, 2)  # (B, hw, 16 C)
    rebuilt = (weights @ copies).transpose(1, 2)
    return F.fold(rebuilt, features.shape[-2:], 2 * RATE, stride=RATE, padding=RATE // 2) / 4


def fuse(scores: Tensor, height: int, width: int) -> Tensor:
    """Adds to each score those of the neighbouring query for the neighbouring key, along rows, then along columns.

    Args:
        scores: (B, h w, h w), queries by keys, both counted row by row.
        height, width: h and w.

    Source: Yu et al. 2018, section 4.1, attention propagation: a convolution with the 3x3 identity, in row order and in
        column order. As there, the neighbour of a row's last position is the next row's first.
    """
    scores = _add_diagonal_neighbours(scores)
    by_columns = scores.unflatten(2, (height, width)).unflatten(1, (height, width)).permute(0, 2, 1, 4, 3)
    fused = _add_diagonal_neighbours(by_columns.reshape(scores.shape))
    by_rows = fused.unflatten(2, (width, height)).unflatten(1, (width, height)).permute(0, 2, 1, 4, 3)
    return by_rows.reshape(scores.shape)


def _add_diagonal_neighbours(scores: Tensor) -> Tensor:
    """s[i, j] + s[i-1, j-1] + s[i+1, j+1], with zeros beyond the edge."""
    return scores + F.pad(scores[:, :-1, :-1], (1, 0, 1, 0)) + F.pad(scores[:, 1:, 1:], (0, 1, 0, 1))
