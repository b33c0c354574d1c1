"""Attention as the authors' PyTorch release computes it, and the parts that it shares with contextual attention.

See `attention.py` for what both modes do. Here overlaps are added and divided by 4.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from pennet.models.chunks import max_scores


def rebuild_everywhere(shallow: Tensor, deep: Tensor, mask: Tensor, kernel_size: int, softmax_scale: float) -> Tensor:
    """Rebuilds every position of a shallow map, as the authors' released code does.

    Keys are divided by their patch norm and queries are not; an invalid key (its mask patch touches the hole at all) gets
    score 0 but keeps its mass in the softmax; the weights are then masked and raised to at least 1e-8.

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
    valid = (patch_mask == 0).to(deep.dtype)
    key_factors = softmax_scale * valid / patch_norms(deep, radius)  # 10 · valid · affinity: one factor for each key
    rebuilt = []
    for sample in zip(*(x.split(samples_at_once(deep)) for x in (shallow, deep, key_factors, valid)), strict=True):
        shallow_here, deep_here, factors_here, valid_here = sample
        weights = (
            masked_softmax(scores * factors_here[:, :, None], valid_here).clamp_min(1e-8)
            for scores in patch_scores(deep_here, radius)
        )
        rebuilt.append(paste_patches(weights, shallow_here))
    return torch.cat(rebuilt)


# --- what both this and contextual attention stand on ----------------------------------------------------------------
#
# Scores and weights are (B, n, w, h, w): n lines of query positions, w in each, over all h x w keys. They come and go in
# bands of a few lines, top to bottom, so that no more than `max_scores` of them exist at once.


def samples_at_once(deep: Tensor) -> int:
    """How many samples of a map (B, C, h, w) to take together: many of a small map, one of a large one."""
    return max(1, max_scores(deep.device) // (deep.shape[-2] * deep.shape[-1]) ** 2)


def patch_norms(deep: Tensor, radius: int) -> Tensor:
    """The norm of the zero-padded patch around each position, at least 1e-4: (B, C, h, w) -> (B, 1, h, w)."""
    energy = F.avg_pool2d(deep.square().sum(1, keepdim=True), 2 * radius + 1, 1, radius, divisor_override=1)
    return energy.clamp_min(1e-8).sqrt()  # in this order: the root of 0 has no gradient


def patch_scores(deep: Tensor, radius: int, first: int = 0, last: int | None = None) -> Iterator[Tensor]:
    """Dot products of the patches around the positions of some lines with those around every position.

    The product of two patches is the sum of the products of their single positions, which lie on a diagonal of
    `deepᵀ deep`: a ninth of the multiplications for 3x3 patches.

    Args:
        deep: (B, C, h, w).
        radius: 0 for patches of one position, 1 for 3x3; zero-padded at the edge.
        first, last: the lines of query positions, first to last - 1; all of them unless told.

    Yields:
        (B, n, w, h, w), the lines in order.
    """
    height, width = deep.shape[-2:]
    last = height if last is None else last
    lines_at_once = max(1, max_scores(deep.device) // (len(deep) * height * width * width))
    padded = F.pad(deep, (radius,) * 4)
    keys = padded.flatten(2)

    def products() -> Iterator[Tensor]:
        """Of single positions: (B, lines, w + 2r, h + 2r, w + 2r), the padded lines of the queries first."""
        edges = [first, *range(first + 2 * radius + lines_at_once, last + 2 * radius, lines_at_once), last + 2 * radius]
        for top, bottom in itertools.pairwise(edges):
            dots = padded[:, :, top:bottom].flatten(2).transpose(1, 2) @ keys
            yield dots.unflatten(1, (-1, width + 2 * radius)).unflatten(3, (-1, width + 2 * radius))

    for window in windows(products(), radius):
        yield sum_diagonals(sum_diagonals(window, 1, radius), 2, radius)


def masked_softmax(scores: Tensor, valid: Tensor) -> Tensor:
    """Softmax over all keys, those that are not valid then set to 0: (B, n, w, h, w), (B, 1, h, w) -> (B, n, w, h, w)."""
    return torch.softmax(scores.flatten(3), dim=3).view(scores.shape) * valid[:, :, None]


def paste_patches(weights: Iterator[Tensor], shallow: Tensor) -> Tensor:
    """Weighted sums of a map's own 4x4 patches, pasted at the queries: overlaps are added and divided by 4.

    The patches that overlap a pixel of the shallow map are one 2x2 phase of it each: a fraction of the multiplications of
    a transposed convolution.

    Args:
        weights: (B, n, w, h, w) each, all lines of queries in order.
        shallow: (B, D, 2h, 2w), the map that is copied from.

    Returns:
        (B, D, 2h, 2w).
    """
    height, width = shallow.shape[-2] // 2, shallow.shape[-1] // 2
    phases = shallow.unflatten(2, (height, 2)).unflatten(4, (width, 2)).permute(0, 3, 5, 2, 4, 1).flatten(3, 4)
    beyond = shallow.new_zeros(len(shallow), 1, width, height, width)  # no patch stands beyond the map's edge
    bands = [overlap_phases(window, phases) for window in windows(weights, 1, beyond, beyond)]
    return torch.cat(bands, dim=2) / 4


def windows(
    bands: Iterator[Tensor], halo: int, above: Tensor | None = None, below: Tensor | None = None
) -> Iterator[Tensor]:
    """Joins bands of lines (dimension 1) to windows that overlap by 2·halo lines: each line is in the middle of one.

    Args:
        bands: at least one; the first has more than 2·halo lines, or there is `above`.
        halo: lines beyond the middle, on both sides.
        above, below: `halo` lines before the first band and after the last; without them the outermost lines of the bands
            are in the middle of no window.
    """
    kept, band = above, next(bands, None)
    while band is not None:
        following = next(bands, None)
        pieces = [piece for piece in (kept, band, below if following is None else None) if piece is not None]
        window = torch.cat(pieces, dim=1) if len(pieces) > 1 else band
        if window.shape[1] > 2 * halo:
            yield window
        kept, band = window[:, max(0, window.shape[1] - 2 * halo) :], following


def sum_diagonals(products: Tensor, axis: int, radius: int) -> Tensor:
    """Sums over the offsets -radius to radius that a query axis and the key axis behind it make together.

    Args:
        products: (B, n, w, h, w), the two axes longer by 2·radius.
        axis: of the queries, 1 or 2; the keys' is axis + 2.
        radius: the largest offset.
    """
    lengths = products.shape[axis] - 2 * radius, products.shape[axis + 2] - 2 * radius
    diagonal = [products.narrow(axis, d, lengths[0]).narrow(axis + 2, d, lengths[1]) for d in range(2 * radius + 1)]
    total = diagonal[0]
    for shifted in diagonal[1:]:
        total = total + shifted
    return total


def overlap_phases(weights: Tensor, phases: Tensor) -> Tensor:
    """Adds up the overlapping weighted 4x4 patches, phase by phase.

    The shallow pixel (2i+a, 2j+b) is covered by the patches at i and i-1 (a = 0) or i and i+1 (a = 1), likewise for j. In
    each of them it copies the phase-(a, b) pixel of the 2x2 cell that is as far from the key as it is from the query.

    Args:
        weights: (B, n + 2, w, h, w), n lines of query positions with one halo line on both sides, over all keys.
        phases: (B, 2, 2, h·w, D), the shallow map split by the parity of row and column.

    Returns:
        (B, D, 2n, 2w)
    """
    lines, width = weights.shape[1] - 2, weights.shape[2]
    rebuilt = []
    # Query and key both step by -1 or +1. Padding by (1, -1) moves an axis by one; the key's step falls off the map's edge.
    for a, (halo, key_step) in enumerate([((0, -2), (1, -1)), ((-2, 0), (-1, 1))]):
        rows = weights[:, 1:-1] + F.pad(weights, (0, 0, *key_step, 0, 0, *halo))
        for b, step in enumerate([(1, -1), (-1, 1)]):
            cells = rows + F.pad(rows, (*step, 0, 0, *step))
            rebuilt.append(cells.flatten(3).flatten(1, 2) @ phases[:, a, b])
    stacked = torch.stack(rebuilt, dim=1).unflatten(1, (2, 2)).unflatten(3, (lines, width))  # (B, 2, 2, n, w, D)
    return stacked.permute(0, 5, 3, 1, 4, 2).reshape(len(weights), -1, 2 * lines, 2 * width)
