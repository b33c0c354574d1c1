"""The attentions of `pennet.models` over all positions at once: the same numbers from operators that ONNX has.

A map's patches are taken by a convolution with one-hot kernels and pasted by its transpose. Rows are laid out
(B, C side², positions), a channel's pixels together.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from pennet.models.attention import FILLED_WEIGHT, PADDING, Affinity, Holed


def fill_holes(
    maps: Sequence[Holed],
    strides: Sequence[int],
    compared: Holed,
    mask: Tensor,
    cell_px: int,
    kernel_size: int,
    softmax_scale: Tensor,
    valid_threshold: float,
    affinity: Affinity,
    middle_weight: float,
) -> list[Tensor]:
    """Computes what `pennet.models.attention.fill_holes` does; arguments as there, but for these.

    Args:
        strides: how many times as large as `compared` each map is.
        cell_px: side of a position of `compared`, in pixels.
        softmax_scale: a tensor without dimensions.
    """
    copied = F.avg_pool2d(_pooled(mask, cell_px // 2), 4, 2, 1, count_include_pad=False)
    if affinity != "picture":
        seen = F.avg_pool2d(_pooled(mask, cell_px), kernel_size, 1, kernel_size // 2, count_include_pad=False)
        copied = torch.maximum(seen, copied)
    is_key = copied.flatten(2) <= valid_threshold  # (B, 1, positions)
    queries, keys, bias = _comparable(compared, kernel_size, affinity, is_key)
    bias = torch.where(is_key, bias * softmax_scale, PADDING)
    weights = torch.softmax((queries * softmax_scale).transpose(1, 2) @ keys + bias, dim=2)

    starved = ~is_key.to(mask.dtype).amax(dim=2, keepdim=True).bool()[..., None]
    filled = []
    for (values, hole), n in zip(maps, strides, strict=True):
        line = F.pad(torch.full((n,), middle_weight), (1, 1), value=1.0)
        with_ones = torch.cat([values, torch.ones_like(values[:, :1])], dim=1)
        found = weights @ patches(with_ones, n + 2, n).transpose(1, 2)
        pasted = paste(found.transpose(1, 2), compared.values, n + 2, n, torch.outer(line, line))
        mean = pasted[:, :-1] / pasted[:, -1:].clamp_min(1e-8)
        filled.append(torch.where(hole & ~starved, mean, values))
    return filled


def _pooled(mask: Tensor, side: int) -> Tensor:
    return F.avg_pool2d(mask, side) if side > 1 else mask


def _comparable(compared: Holed, kernel_size: int, affinity: Affinity, is_key: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Rows of queries and keys, (B, E, positions), whose products plus the keys' bias, (B, 1, positions), are affinities."""
    values, hole = compared
    if affinity == "picture":
        known = (~hole).to(values.dtype)
        count = known.sum(dim=(2, 3), keepdim=True).clamp_min(1)
        deviation = values - (values * known).sum(dim=(2, 3), keepdim=True) / count
        energy = deviation.square().sum(dim=1, keepdim=True)
        variance = ((energy * known).sum(dim=(2, 3), keepdim=True) / count).clamp_min(1e-4)[..., 0]
        weights = patches(known + FILLED_WEIGHT * (1 - known), kernel_size)
        weights = weights / (variance * weights.sum(dim=1, keepdim=True))
        rows = patches(deviation, kernel_size)
        weighted = rows * weights.repeat(1, values.shape[1], 1)
        keys = torch.cat([rows, patches(energy, kernel_size)], dim=1)
        return torch.cat([2 * weighted, -weights], dim=1), keys, torch.zeros_like(weights[:, :1])
    rows = patches(values, kernel_size)
    norms = rows.square().sum(dim=1, keepdim=True)
    if affinity == "cosine":
        unit_rows = rows / norms.sqrt().clamp_min(1e-4)
        return unit_rows, unit_rows, torch.zeros_like(norms)
    counted = is_key.to(norms.dtype)
    unit = (norms * counted).sum(dim=2, keepdim=True) / counted.sum(dim=2, keepdim=True).clamp_min(1)
    unit = unit.clamp_min(1e-8)
    return rows / unit, rows, -norms / (2 * unit)


def rebuild_everywhere(shallow: Tensor, deep: Tensor, mask: Tensor, kernel_size: int, softmax_scale: Tensor) -> Tensor:
    """Computes what `pennet.models.released_attention.rebuild_everywhere` does; `softmax_scale` without dimensions."""
    level_mask = _resized(_resized(mask, deep, 2), deep, 3)
    valid = (patches(level_mask, kernel_size).sum(dim=1, keepdim=True) == 0).to(deep.dtype)
    rows = patches(deep, kernel_size)
    scores = rows.transpose(1, 2) @ (rows / _norms(rows))
    weights = (torch.softmax(scores * (softmax_scale * valid), dim=2) * valid).clamp_min(1e-8)
    return _pasted_everywhere(weights, shallow, deep)


def _resized(mask: Tensor, like: Tensor, axis: int) -> Tensor:
    """Resizes one side to that of another map, bilinearly, corners on corners.

    A key is valid if no hole at all is in its patch: shares must round to 0 where those of PyTorch's interpolation do, and
    those of ONNX Runtime's need not.
    """
    last, place = _places(mask, axis), _places(like, axis)
    place = place * (last[-1] / place[-1].clamp_min(1))
    before = place.floor()
    share = (place - before).view([-1 if dimension == axis else 1 for dimension in range(4)])
    behind = torch.minimum(before + 1, last[-1])
    low, high = mask.index_select(axis, before.long()), mask.index_select(axis, behind.long())
    return (1 - share) * low + share * high


def _places(x: Tensor, axis: int) -> Tensor:
    """0, 1, ... along an axis, from the data, so that the length stays free: (length,)."""
    line = x[0, 0, :, 0] if axis == 2 else x[0, 0, 0, :]
    return torch.ones_like(line).cumsum(0) - 1


def contextual_attention(features: Tensor, mask: Tensor, cell_px: int, softmax_scale: Tensor) -> Tensor:
    """Computes what `pennet.models.contextual_attention.contextual_attention` does.

    Args:
        features, mask: as there.
        cell_px: side of a position of `features`, in pixels.
        softmax_scale: a tensor without dimensions.
    """
    deep = features[:, :, ::2, ::2]
    level_mask = mask[:, :, :: 2 * cell_px, :: 2 * cell_px]
    valid = (F.max_pool2d(level_mask, 3, stride=1, padding=1) == 0).to(features.dtype).flatten(2)
    rows = patches(deep, 3)
    scores = rows.transpose(1, 2) @ (rows / _norms(rows))
    batch, _, height, width = deep.shape
    in_columns = _with_neighbours(scores).reshape(batch, height, width, height, width).permute(0, 2, 1, 4, 3)
    fused = _with_neighbours(in_columns.reshape(batch, width * height, width * height))
    fused = fused.reshape(batch, width, height, width, height).permute(0, 2, 1, 4, 3)
    scores = fused.reshape(batch, height * width, height * width)
    weights = torch.softmax(scores * (softmax_scale * valid), dim=2) * valid
    return _pasted_everywhere(weights, features, deep)


def _norms(rows: Tensor) -> Tensor:
    return rows.square().sum(dim=1, keepdim=True).clamp_min(1e-8).sqrt()


def _with_neighbours(scores: Tensor) -> Tensor:
    """Adds to each score those of the query before with the key before, and of the one behind: (B, q, k) -> the same."""
    padded = F.pad(scores, (1, 1, 1, 1))
    return scores + padded[:, :-2, :-2] + padded[:, 2:, 2:]


def _pasted_everywhere(weights: Tensor, shallow: Tensor, deep: Tensor) -> Tensor:
    """Weighted sums of a map's 4x4 patches, overlaps added and divided by 4."""
    found = weights @ patches(shallow, 4, 2).transpose(1, 2)
    return paste(found.transpose(1, 2), deep, 4, 2, torch.ones(4, 4)) / 4


def patches(x: Tensor, side: int, stride: int = 1) -> Tensor:
    """A map's patches, zero beyond its edge: (B, C, stride h, stride w) -> (B, C side², h w)."""
    if side == 1:
        return x.flatten(2)
    kernels = torch.eye(side * side).view(side * side, 1, side, side)
    taken = F.conv2d(x.flatten(0, 1)[:, None], kernels, stride=stride, padding=(side - stride + 1) // 2)
    return taken.reshape(x.shape[0], x.shape[1] * side * side, -1)


def paste(rows: Tensor, grid: Tensor, side: int, stride: int, window: Tensor) -> Tensor:
    """The sum of patches times a window on an empty map: (B, C side², h w) -> (B, C, stride h, stride w).

    Args:
        grid: (B, any, h, w), the map whose positions the patches stand at.
        window: (side, side).
    """
    kernels = torch.eye(side * side).view(side * side, 1, side, side) * window
    height, width = grid.shape[-2:]
    single = rows.reshape(-1, side * side, height, width)
    pasted = F.conv_transpose2d(single, kernels, stride=stride, padding=(side - stride) // 2)
    return pasted.reshape(grid.shape[0], -1, stride * height, stride * width)
