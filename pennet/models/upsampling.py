"""Doubling a map's sides by bilinear interpolation, corners on corners."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def double(x: Tensor) -> Tensor:
    """(B, C, h, w) -> (B, C, 2h, 2w).

    The gradient of PyTorch's interpolation adds up in no fixed order on a GPU; where a training asks for repeatable bits,
    the same numbers come from slices.
    """
    if x.is_cuda and torch.are_deterministic_algorithms_enabled():
        return double_by_slices(x)
    return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=True)


def double_by_slices(x: Tensor) -> Tensor:
    """The same as `double`, within rounding, from sums of shifted maps: their gradient has a fixed order on any device."""
    return _double_side(_double_side(x.to(torch.promote_types(x.dtype, torch.float32)), 2), 3).to(x.dtype)


def _double_side(x: Tensor, axis: int) -> Tensor:
    """One side n -> 2n. With corners on corners, place i of the result lies at i (n - 1) / (2n - 1) of x.

    So place 2k lies k / (2n - 1) before k, and place 2k + 1 lies (n - 1 - k) / (2n - 1) behind it.
    """
    length = x.shape[axis]
    before = torch.cat([x.narrow(axis, 0, 1), x.narrow(axis, 0, length - 1)], axis)
    behind = torch.cat([x.narrow(axis, 1, length - 1), x.narrow(axis, length - 1, 1)], axis)
    shape = [length if dimension == axis else 1 for dimension in range(x.ndim)]
    share = (torch.arange(length, device=x.device, dtype=x.dtype) / (2 * length - 1)).view(shape)
    pair = x + share * (before - x), x + share.flip(axis) * (behind - x)
    return torch.stack(pair, axis + 1).flatten(axis, axis + 1)
