"""Patch attention: which known patch does each patch of a hole resemble, and what stood there?

Two exact evaluations of the Attention Transfer Network's operation (Zeng et al., section 3.2), one per mode. A *deep* map
(B, C, h, w) decides the likeness of positions; a *shallow* map (B, D, 2h, 2w) is rebuilt from its own 4x4 patches (stride 2,
padding 1), weighted by that likeness; overlaps are added and divided by 4.

Neither ever holds the h·w x h·w score matrix of a large map: queries go in chunks of at most `max_scores` scores, or of one
line where a line has more. The released mode's parts are contextual attention's as well (`contextual_attention.py`).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

MAX_SCORES = 2_000_000
"""Scores held at once on a CPU (8 MB in float32): enough for fast matrix products, few enough to stay in its cache."""

MAX_SCORES_CUDA = 2**26
"""Scores held at once on a GPU (256 MiB in float32, and a few times that while a softmax runs): so many that starting the
kernels costs nothing beside their work, so few that they fit beside a training on a small card."""

Affinity = Literal["cosine", "euclidean"]


def max_scores(device: torch.device) -> int:
    """How many scores to hold at once on a device: a matter of speed and memory, and of the last bits."""
    return MAX_SCORES_CUDA if device.type == "cuda" else MAX_SCORES


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
        shallow: (B, D, 2h, 2w), the map to fill; positions that saw no hole are returned untouched.
        deep: (B, C, h, w), the map whose patches are compared.
        mask: (B, 1, H, W) in {0, 1} at image resolution, 1 = hole; H is 2h times a power of two.
        kernel_size: side of the compared patches, 1 or 3.
        softmax_scale: inverse temperature of the softmax over the valid positions.
        valid_threshold: a patch may be copied if at most this share of what is compared, and of what is copied, lies in
            the hole.
        affinity: `cosine`, the paper's; or `euclidean`, minus the squared distance in units of twice the mean squared
            norm of the valid patches, which keeps the same temperature useful.

    Returns:
        (B, D, 2h, 2w). A sample without any valid position keeps its shallow map.

    Source: Zeng et al. 2019, section 3.2, equations 1-3.
    Deviation: the paper does not say how its mask is scaled. Here a position is filled if it saw a hole pixel, and a patch
        is valid by area coverage with a threshold.
    """
    height, width = deep.shape[-2:]
    shallow_mask = _saw_hole(mask, 2 * width).to(shallow.dtype)
    # Every patch that overlaps a filled position of the shallow map takes part in rebuilding it.
    is_query = F.max_pool2d(shallow_mask, 4, stride=2, padding=1).flatten(1) > 0
    compared = F.avg_pool2d(
        F.adaptive_avg_pool2d(mask, (height, width)), kernel_size, 1, kernel_size // 2, count_include_pad=False
    )
    copied = F.avg_pool2d(F.adaptive_avg_pool2d(mask, (2 * height, 2 * width)), 4, 2, 1, count_include_pad=False)
    is_valid = torch.maximum(compared, copied).flatten(1) <= valid_threshold

    deep_patches = F.unfold(deep, kernel_size, padding=kernel_size // 2).transpose(1, 2)  # (B, hw, C k k)
    if affinity == "cosine":
        deep_patches = F.normalize(deep_patches, dim=2, eps=1e-4)
    shallow_patches = F.unfold(shallow, 4, stride=2, padding=1).transpose(1, 2)  # (B, hw, 16 D)

    rebuilt = []
    # One mask per sample: each has its own queries and keys.
    for patches, values, queries, keys in zip(
        deep_patches.unbind(), shallow_patches.unbind(), *_places(is_query, is_valid), strict=True
    ):
        if len(queries) and len(keys):
            filled = _attend(patches[queries], patches[keys], values[keys], softmax_scale, affinity)
            values = values.index_copy(0, queries, filled)
        rebuilt.append(values)
    rebuilt_map = F.fold(torch.stack(rebuilt).transpose(1, 2), (2 * height, 2 * width), 4, stride=2, padding=1) / 4
    starved = ~is_valid.any(dim=1)[:, None, None, None]
    return torch.where((shallow_mask > 0) & ~starved, rebuilt_map, shallow)


def _saw_hole(mask: Tensor, width: int) -> Tensor:
    """Which positions of a map of that width looked at a hole pixel through the encoder's strided 3x3 convolutions.

    More than those that lie in the hole: a neighbour that looked into it does not know what stands there either, and
    keeping its features paints a line along the hole's border.
    """
    while mask.shape[-1] > width:
        mask = F.max_pool2d(mask, 3, stride=2, padding=1)
    return mask > 0


def _places(*chosen: Tensor) -> list[list[Tensor]]:
    """The indices of the true elements, ascending, for each sample of each (B, N) tensor.

    How many there are must be known on the host. On a GPU that is the one moment at which it waits for the device,
    however large the batch.
    """
    stacked = torch.stack(chosen)
    # Sorted, stably: true first. The counts then cut the list; `nonzero` would wait once for each sample.
    order = stacked.to(torch.uint8).argsort(dim=2, descending=True, stable=True)
    return [
        [row[:count] for row, count in zip(rows, counts, strict=True)]
        for rows, counts in zip(order.unbind(), stacked.sum(dim=2).tolist(), strict=True)
    ]


def _attend(queries: Tensor, keys: Tensor, values: Tensor, softmax_scale: float, affinity: Affinity) -> Tensor:
    """softmax(scale · affinity(queries, keys)) @ values, a chunk of queries at a time: (Q, E), (K, E), (K, V) -> (Q, V)."""
    chunk = max(1, max_scores(keys.device) // len(keys))
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


# --- what both the released mode and contextual attention stand on ----------------------------------------------------
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
