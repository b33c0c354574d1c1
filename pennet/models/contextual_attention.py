"""Contextual attention: a hole is rebuilt from the known patches of the same map (Yu et al. 2018, section 4).

The same machinery as PEN-Net's attention transfer, with one map in both parts, and with a fusion that makes
neighbouring positions copy from neighbouring places.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from pennet.models.released_attention import (
    masked_softmax,
    paste_patches,
    patch_norms,
    patch_scores,
    samples_at_once,
    sum_diagonals,
    windows,
)

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
    valid = (F.max_pool2d(level_mask, KERNEL_SIZE, stride=1, padding=KERNEL_SIZE // 2) == 0).to(features.dtype)
    rebuilt = []
    for sample in zip(*(x.split(samples_at_once(deep)) for x in (features, deep, valid)), strict=True):
        features_here, deep_here, valid_here = sample
        factors = (softmax_scale * valid_here)[:, :, None]
        weights = (masked_softmax(scores * factors, valid_here) for scores in fused_scores(deep_here))
        rebuilt.append(paste_patches(weights, features_here))
    return torch.cat(rebuilt)


def fused_scores(deep: Tensor) -> Iterator[Tensor]:
    """Likeness of patches, plus that of the neighbouring query to the neighbouring key, along rows, then along columns.

    Args:
        deep: (B, C, h, w).

    Yields:
        (B, n, w, h, w), the lines of query positions in order.

    Source: Yu et al. 2018, section 4.1, attention propagation: a convolution with the 3x3 identity, in row order and in
        column order. As there, the neighbour of a row's last position is the next row's first, and of a column's last
        position the next column's first.
    """
    height = deep.shape[2]
    bands = fused_along_rows(deep, 0, height)
    band = next(bands)
    # In column order the last line comes before the first one, one column to the left, and the first after the last.
    last = band if band.shape[1] == height else next(fused_along_rows(deep, height - 1, height))
    above, below = _step(last[:, -1:], 2, 1), _step(band[:, :1], 2, -1)
    for window in windows(itertools.chain([band], bands), 1, above, below):
        before, after = _step(window[:, :, :, -1:], 4, 1), _step(window[:, :, :, :1], 4, -1)
        yield sum_diagonals(torch.cat([before, window, after], dim=3), 1, 1)


def fused_along_rows(deep: Tensor, first: int, last: int) -> Iterator[Tensor]:
    """The first half of `fused_scores`, for the lines of query positions from first to last - 1."""
    height, width = deep.shape[2:]
    norms = patch_norms(deep, KERNEL_SIZE // 2)[:, :, None]
    beyond = deep.new_zeros(len(deep), 1, width, height, width)
    bands = (scores / norms for scores in patch_scores(deep, KERNEL_SIZE // 2, max(0, first - 1), min(last + 1, height)))
    for window in windows(bands, 1, beyond if first == 0 else None, beyond if last == height else None):
        # In row order a line follows on the one before: its neighbours are that one's last and the next one's first.
        in_order = window.flatten(1, 2).flatten(2)[:, width - 1 : 1 - width or None]  # (B, n w + 2, h w)
        fused = sum_diagonals(F.pad(in_order, (1, 1))[:, :, None, :, None], 1, 1)
        yield fused.view(len(deep), -1, width, height, width)


def _step(line: Tensor, axis: int, step: int) -> Tensor:
    """Moves a line of queries or keys by one along its axis; 0 comes in at the edge."""
    before_and_after = (step, 0) if step > 0 else (0, -step)
    kept = line.narrow(axis, 0 if step > 0 else 1, line.shape[axis] - 1)
    return F.pad(kept, (0, 0) * (line.ndim - 1 - axis) + before_and_after)
