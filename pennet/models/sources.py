"""Which place every pixel of a hole was copied from, found by letting attention copy places instead of pixels."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from pennet.models.attention import Holed

MOST_ALIKE = 1e6
"""Softmax scale at which the patch most alike takes everything, if no other is as alike."""
MAX_VARIANCE = 0.2
"""Of a copy's places, in cells²: two places that have equal shares are at least a cell apart, and have 0.25."""

Fill = Callable[[Sequence[Holed], Holed, Tensor, float], list[Tensor]]
"""(maps, compared, mask, softmax scale) -> the maps, filled: `AttentionTransferNetwork.fill`."""


def copied_from(fill: Fill, compared: Holed, mask: Tensor, cell_px: int) -> Tensor:
    """The place of every pixel's source, its own if it is known, or if several patches are equally alike, or none is valid.

    Args:
        fill: how holes are filled.
        compared: what is compared to fill them, (B, C, H / cell_px, W / cell_px).
        mask: (B, 1, H, W) in {0, 1}, 1 = hole.
        cell_px: side of a position of `compared`, in pixels.

    Returns:
        (B, 2, H, W): line and column, in pixels.
    """
    is_hole = F.max_pool2d(mask, cell_px)
    own = places(is_hole)
    own = own - own.mean(dim=(2, 3), keepdim=True).floor()  # from the middle: the squares of small numbers are exact
    carried = torch.cat([own, own.square().sum(dim=1, keepdim=True)], dim=1)
    # Written four times as large, a patch is six wide: what lies in the middle of a cell is of no other patch.
    written = Holed(F.interpolate(carried, scale_factor=4), F.interpolate(is_hole, scale_factor=4) > 0)
    (found,) = fill([written], compared, mask, MOST_ALIKE)
    place, square = found[..., 1::4, 1::4].split([2, 1], dim=1)
    is_one = square - place.square().sum(dim=1, keepdim=True) < MAX_VARIANCE
    moved_px = cell_px * torch.where(is_one, place.round() - own, 0.0)
    return places(mask) + mask * F.interpolate(moved_px, scale_factor=cell_px)


def places(mask: Tensor) -> Tensor:
    """Line and column of every position: (B, 1, H, W) -> (B, 2, H, W)."""
    height, width = mask.shape[-2:]
    lines = torch.arange(height, device=mask.device, dtype=mask.dtype)
    columns = torch.arange(width, device=mask.device, dtype=mask.dtype)
    return torch.stack(torch.meshgrid(lines, columns, indexing="ij")).expand(len(mask), -1, -1, -1)
