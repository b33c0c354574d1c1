"""Patch attention: which known patch does each patch of a hole resemble, and what stood there?

Two exact evaluations of the Attention Transfer Network's operation (Zeng et al., section 3.2), one per mode. A *deep* map
(B, C, h, w) decides the likeness of positions; a *shallow* map (B, D, 2h, 2w) is rebuilt from its own 4x4 patches (stride 2,
padding 1), weighted by that likeness; overlaps are added and divided by 4.

Neither ever holds the h·w x h·w score matrix of a large map: queries go in chunks of at most `MAX_SCORES` scores.
"""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

MAX_SCORES = 2_000_000
"""Scores held at once (8 MB in float32): enough for fast matrix products, few enough to stay in a processor's cache."""

Affinity = Literal["cosine", "euclidean"]


# --- paper mode ------------------------------------------------------------------------------------------------------


def fill_holes(
    shallow: Tensor,
    deep: Tensor,
    mask: Tensor,
    kernel_size: int,
    softmax_scale: float,
    valid_threshold: float,
    affinity: Affinity,
) -> Tensor:
    """Fills the hole of a shallow map with what the deep map's attention finds outside it.

    Args:
        shallow: (B, D, 2h, 2w), the map to fill; its known positions are returned untouched.
        deep: (B, C, h, w), the map whose patches are compared.
        mask: (B, 1, H, W) in {0, 1} at image resolution, 1 = hole.
        kernel_size: side of the compared patches, 1 or 3.
        softmax_scale: inverse temperature of the softmax over the valid positions.
        valid_threshold: a patch may be copied if at most this share of it lies in the hole.
        affinity: `cosine`, the paper's; or `euclidean`, minus the squared distance in units of twice the mean squared
            norm of the valid patches, which keeps the same temperature useful.

    Returns:
        (B, D, 2h, 2w). A sample without any valid position keeps its shallow map.

    Source: Zeng et al. 2019, section 3.2, equations 1-3.
    Deviation: validity by area coverage with a threshold; the paper does not say how its mask is scaled.
    """
    height, width = deep.shape[-2:]
    shallow_mask = (F.adaptive_avg_pool2d(mask, (2 * height, 2 * width)) > 0).to(shallow.dtype)
    # Every patch that overlaps a hole pixel of the shallow map takes part in rebuilding it.
    is_query = F.max_pool2d(shallow_mask, 4, stride=2, padding=1).flatten(1) > 0
    coverage = F.adaptive_avg_pool2d(mask.float(), (height, width))
    patch_coverage = F.avg_pool2d(coverage, kernel_size, stride=1, padding=kernel_size // 2, count_include_pad=False)
    is_valid = patch_coverage.flatten(1) <= valid_threshold

    deep_patches = F.unfold(deep, kernel_size, padding=kernel_size // 2).transpose(1, 2)  # (B, hw, C k k)
    if affinity == "cosine":
        deep_patches = F.normalize(deep_patches, dim=2, eps=1e-4)
    shallow_patches = F.unfold(shallow, 4, stride=2, padding=1).transpose(1, 2)  # (B, hw, 16 D)

    rebuilt = []
    # One mask per sample: each has its own queries and keys.
    for patches, values, is_query_here, is_valid_here in zip(
        deep_patches.unbind(), shallow_patches.unbind(), is_query, is_valid, strict=True
    ):
        queries, keys = is_query_here.nonzero()[:, 0], is_valid_here.nonzero()[:, 0]
        if len(queries) and len(keys):
            filled = _attend(patches[queries], patches[keys], values[keys], softmax_scale, affinity)
            values = values.index_copy(0, queries, filled)
        rebuilt.append(values)
    rebuilt_map = F.fold(torch.stack(rebuilt).transpose(1, 2), (2 * height, 2 * width), 4, stride=2, padding=1) / 4
    starved = ~is_valid.any(dim=1)[:, None, None, None]
    return torch.where((shallow_mask > 0) & ~starved, rebuilt_map, shallow)


def _attend(queries: Tensor, keys: Tensor, values: Tensor, softmax_scale: float, affinity: Affinity) -> Tensor:
    """softmax(scale · affinity(queries, keys)) @ values, a chunk of queries at a time: (Q, E), (K, E), (K, V) -> (Q, V)."""
    chunk = max(1, MAX_SCORES // len(keys))
    if affinity == "euclidean":
        squared_norms = keys.square().sum(dim=1)
        unit = squared_norms.mean().clamp_min(1e-8)
    parts = []
    for rows in queries.split(chunk):
        scores = rows @ keys.T
        if affinity == "euclidean":  # -|q - k|²/(2 unit), without the |q|² that the softmax cancels
            scores = (scores - squared_norms / 2) / unit
        parts.append(torch.softmax(scores * softmax_scale, dim=1) @ values)
    return torch.cat(parts)


# --- released mode ---------------------------------------------------------------------------------------------------


def rebuild_everywhere(shallow: Tensor, deep: Tensor, mask: Tensor, kernel_size: int, softmax_scale: float) -> Tensor:
    """Rebuilds every position of a shallow map, as the authors' released code does.

    Keys are divided by their patch norm and queries are not; an invalid key (its mask patch touches the hole at all) gets
    score 0 but keeps its mass in the softmax; the weights are then masked and raised to at least 1e-8.

    The dot product of two 3x3 patches is the sum of nine single-position products along a diagonal of `deep deepᵀ`, and
    the 4x4 patches that overlap a shallow pixel are one 2x2 phase of the map each: both sides need a fraction of the
    multiplications of a patch-as-filter formulation.

    Args:
        shallow: (B, D, 2h, 2w), the map to rebuild.
        deep: (B, C, h, w), the map whose patches are compared.
        mask: (B, 1, H, W) in {0, 1}, 1 = hole.
        kernel_size: side of the compared patches, 1 or 3.
        softmax_scale: inverse temperature; 10 in the release.

    Returns:
        (B, D, 2h, 2w).

    Source: the behaviour of the authors' PyTorch release.
    Deviation: one mask per sample; the release takes the first mask of a batch for all.
    """
    height, width = deep.shape[-2:]
    radius = kernel_size // 2
    level_mask = F.interpolate(mask, (height, width), mode="bilinear", align_corners=True)
    patch_mask = F.avg_pool2d(level_mask, kernel_size, stride=1, padding=radius)  # zero padded, as the patches are
    valid = (patch_mask == 0).to(deep.dtype).flatten(1)
    patch_energy = F.avg_pool2d(deep.square().sum(1, keepdim=True), kernel_size, 1, radius, divisor_override=1)
    key_norms = patch_energy.sqrt().clamp_min(1e-4).flatten(1)
    # 10 · valid · affinity: one factor for each key.
    key_factors = softmax_scale * valid / key_norms
    return torch.stack(
        [
            _rebuild_sample(*sample, radius)
            for sample in zip(shallow, deep, key_factors.unflatten(1, (height, width)), valid, strict=True)
        ]
    )


def _rebuild_sample(shallow: Tensor, deep: Tensor, key_factors: Tensor, valid: Tensor, radius: int) -> Tensor:
    """One sample of `rebuild_everywhere`, a few lines of query positions at a time."""
    _, height, width = deep.shape
    padded = F.pad(deep, (radius,) * 4)
    keys = padded.flatten(1)
    phases = shallow.unflatten(1, (height, 2)).unflatten(3, (width, 2)).permute(2, 4, 1, 3, 0).flatten(2, 3)
    lines_at_once = max(1, MAX_SCORES // (height * width * width))

    def products(first: int, last: int) -> Tensor:
        """Of every position in these padded lines with every position: (lines, w + 2r, h + 2r, w + 2r)."""
        dots = padded[:, first:last].flatten(1).T @ keys
        return dots.unflatten(0, (-1, width + 2 * radius)).unflatten(2, (-1, width + 2 * radius))

    # Neighbouring lines share products, and the picture's lines share weights: what the next turn needs again is kept.
    product_window = products(0, 2 * radius)
    beyond = deep.new_zeros(1, width, height, width)  # no patch stands beyond the map's edge
    weight_window, bands = beyond, []
    for top in range(0, height, lines_at_once):
        bottom = min(top + lines_at_once, height)
        new_products = products(top + 2 * radius, bottom + 2 * radius)
        product_window = torch.cat([product_window[len(product_window) - 2 * radius :], new_products])
        scores = _sum_diagonals(product_window, radius) * key_factors
        weights = (torch.softmax(scores.flatten(2), dim=2) * valid).clamp_min(1e-8).view(scores.shape)
        weight_window = torch.cat([weight_window[-2:], weights] + [beyond] * (bottom == height))
        bands.append(_overlap_phases(weight_window, phases))
    return torch.cat(bands, dim=1) / 4


def _sum_diagonals(products: Tensor, radius: int) -> Tensor:
    """Sums products[y+dy, x+dx, v+dy, u+dx] over the patch offsets (dy, dx), one axis after the other.

    (n + 2r, w + 2r, h + 2r, w + 2r) -> (n, w, h, w).
    """
    for axis in (0, 1):
        lengths = products.shape[axis] - 2 * radius, products.shape[axis + 2] - 2 * radius
        diagonal = [products.narrow(axis, d, lengths[0]).narrow(axis + 2, d, lengths[1]) for d in range(2 * radius + 1)]
        products = diagonal[0]
        for shifted in diagonal[1:]:
            products = products + shifted
    return products


def _overlap_phases(weights: Tensor, phases: Tensor) -> Tensor:
    """Adds up the overlapping weighted 4x4 patches, phase by phase.

    The shallow pixel (2i+a, 2j+b) is covered by the patches at i and i-1 (a = 0) or i and i+1 (a = 1), likewise for j. In
    each of them it copies the phase-(a, b) pixel of the 2x2 cell that is as far from the key as it is from the query.

    Args:
        weights: (n + 2, w, h, w), n lines of query positions with one halo line on both sides, over all keys.
        phases: (2, 2, h·w, D), the shallow map split by the parity of row and column.

    Returns:
        (D, 2n, 2w)
    """
    lines, width, height = weights.shape[0] - 2, weights.shape[1], weights.shape[2]
    own = weights[1:-1]
    rebuilt = []
    for a in (0, 1):
        # Query and key both step by -1 (a = 0) or +1 (a = 1); the key's step falls off the map at one edge.
        rows = own.clone()
        if a == 0:
            rows[:, :, 1:] += weights[:-2][:, :, :-1]
        else:
            rows[:, :, :-1] += weights[2:][:, :, 1:]
        for b in (0, 1):
            cells = rows.clone()
            if b == 0:
                cells[:, 1:, :, 1:] += rows[:, :-1, :, :-1]
            else:
                cells[:, :-1, :, :-1] += rows[:, 1:, :, 1:]
            rebuilt.append(cells.view(lines * width, height * width) @ phases[a, b])
    stacked = torch.stack(rebuilt).view(2, 2, lines, width, phases.shape[-1])
    return stacked.permute(4, 2, 0, 3, 1).reshape(phases.shape[-1], 2 * lines, 2 * width)
