"""Patch attention: which known patch does each patch of a hole resemble, and what stood there?

Two exact evaluations of the Attention Transfer Network's operation (Zeng et al., section 3.2), one per mode: `paper` here,
`released` in `released_attention.py`. A *deep* map (B, C, h, w) decides the likeness of positions; a *shallow* map
(B, D, n h, n w), n = 2 in the paper, is rebuilt from its own patches of n + 2 (stride n, padding 1), weighted by that
likeness; where patches overlap, they are averaged, each with more weight in its middle if so wished.

Neither ever holds the h·w x h·w score matrix of a large map, with or without gradients: queries go in chunks of at most
`max_scores` scores, or of one line where a line has more.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from pennet.models.chunks import max_scores

KEPT_SCORES = 2**23
"""Scores of one transfer that `paper` mode keeps for the backward pass (32 MiB); of more, they are computed again there."""

Affinity = Literal["cosine", "euclidean", "picture"]
FILLED_WEIGHT = 0.1
"""What a position that was filled counts beside a known one when patches of pictures are compared."""
Revise = Callable[[Tensor, float, Tensor, Tensor], Tensor]
"""(places of keys (B, k) in the flattened map, softmax scale, places of queries (B, n), their scores (B, n, k)) -> the
scores that decide."""
PADDING = -1e30
"""Score of a key that only fills up a sample's row: no mass in the softmax."""


class Holed(NamedTuple):
    """A map and where its hole is."""

    values: Tensor
    """(B, D, n h, n w)."""
    hole: Tensor
    """(B, 1, n h, n w), bool: the positions to fill; all others come back untouched."""


def fill_holes(
    maps: Sequence[Holed],
    compared: Holed,
    mask: Tensor,
    kernel_size: int,
    softmax_scale: float,
    valid_threshold: float,
    affinity: Affinity,
    middle_weight: float = 1.0,
    revise: Revise | None = None,
) -> list[Tensor]:
    """Fills the holes of maps with what attention finds outside them: likeness is decided once, for all of them.

    Args:
        maps: what to fill, each n = 2, 4, ... times as large as what is compared.
        compared: (B, C, h, w), whose patches are compared: the deeper, filled map of features, or (`picture`) the picture
            at that scale, filled or at least smooth in its hole.
        mask: (B, 1, H, W) in {0, 1} at image resolution, 1 = hole; H is 2h times a power of two.
        kernel_size: side of the compared patches, odd.
        softmax_scale: inverse temperature of the softmax over the valid positions.
        valid_threshold: a patch may be copied if at most this share of it lies in the hole; if features are compared, of
            the compared patch too.
        affinity: `cosine`, the paper's; `euclidean`, minus the squared distance in units of twice the mean squared norm of
            the valid patches, which keeps the same temperature useful; or `picture`, minus the mean squared distance of
            the patch's pixels in units of the known pixels' variance, where pixels that were filled count
            `FILLED_WEIGHT`, so that what is known around a hole decides and neighbours that were filled together agree.
        middle_weight: what a line or column of a patch counts where patches overlap, beside the outermost ones, which count
            1. With 1 all count the same, the paper's; more averages less where neighbours copy from different places.
        revise: has the last word on the scores before their softmax, a chunk of queries at a time; None leaves them.

    Returns:
        The maps, filled. A sample without any valid position keeps its maps.

    Source: Zeng et al. 2019, section 3.2, equations 1-3. `picture` is ours; its masked distance is that of exemplar-based
        completion (Wexler et al. 2007).
    Deviation: the paper does not say how its mask is scaled. Here a patch is valid by area coverage with a threshold. The
        paper divides overlaps by 4; here by the weight that was really pasted, so that a constant map stays constant.
        `middle_weight` is ours.
    """
    height, width = compared.values.shape[-2:]
    copied = F.avg_pool2d(F.adaptive_avg_pool2d(mask, (2 * height, 2 * width)), 4, 2, 1, count_include_pad=False)
    if affinity != "picture":
        covered = F.adaptive_avg_pool2d(mask, (height, width))
        seen = F.avg_pool2d(covered, kernel_size, 1, kernel_size // 2, count_include_pad=False)
        copied = torch.maximum(seen, copied)
    is_valid = copied.flatten(1) <= valid_threshold
    is_query = torch.zeros_like(is_valid)
    for values, hole in maps:
        n = values.shape[-1] // width
        # Every patch that overlaps a position to fill takes part in rebuilding it.
        is_query |= F.max_pool2d(hole.to(mask.dtype), n + 2, stride=n, padding=1).flatten(1) > 0
    (queries, _), (keys, is_key) = _packed(is_query, is_valid)
    if not queries.numel() or not keys.numel():
        return [values for values, _ in maps]

    query_rows, key_rows, bias = _comparable(compared, kernel_size, affinity, queries, keys, is_key)
    bias = (bias * softmax_scale).masked_fill(~is_key, PADDING)[:, None]
    by_stride: dict[int, list[int]] = {}
    for i, (values, _) in enumerate(maps):
        by_stride.setdefault(values.shape[-1] // width, []).append(i)
    copies = [
        _taken(_with_ones([maps[i].values for i in members]), keys, width, n + 2, n) for n, members in by_stride.items()
    ]
    revised = revise and partial(revise, keys, softmax_scale)
    found = _attend(query_rows * softmax_scale, key_rows, bias, torch.cat(copies, dim=2), queries, revised)

    filled = [values for values, _ in maps]
    starved = ~is_valid.any(dim=1)[:, None, None, None]
    for (n, members), patches in zip(by_stride.items(), found.split([c.shape[2] for c in copies], dim=2), strict=True):
        # Only the hole's positions are read, and only patches of queries cover them.
        pasted = _pasted(patches * _window(n, middle_weight, patches), queries, (n * height, n * width), width, n)
        mean = pasted[:, :-1] / pasted[:, -1:].clamp_min(1e-8)
        for i, part in zip(members, mean.split([maps[i].values.shape[1] for i in members], dim=1), strict=True):
            filled[i] = torch.where(maps[i].hole & ~starved, part, maps[i].values)
    return filled


def _window(stride: int, middle_weight: float, like: Tensor) -> Tensor:
    """Weights of a patch's stride + 2 lines times those of its columns, one for each of its values: (1, 1, side² D)."""
    line = F.pad(like.new_full((stride,), middle_weight), (1, 1), value=1.0)
    return torch.outer(line, line).flatten().repeat_interleave(like.shape[2] // (stride + 2) ** 2)[None, None]


def _with_ones(maps: Sequence[Tensor]) -> Tensor:
    """Maps of one size and a plane of ones, which, copied and pasted with them, counts how often a position was covered."""
    return torch.cat([*maps, torch.ones_like(maps[0][:, :1])], dim=1)


def _pixels(places: Tensor, width: int, side: int, stride: int, padded: tuple[int, int]) -> Tensor:
    """Where the pixels of patches lie in the flattened samples of a padded map: (B, n) -> (B, n side²).

    Args:
        places: of the patches, in a grid of that width; neighbours are `stride` pixels apart.
        width, side, stride: of the grid, of a patch, of the steps.
        padded: height and width of the map.
    """
    height_px, width_px = padded
    offsets = torch.arange(side, device=places.device)
    pixels = (offsets[:, None] * width_px + offsets).flatten()
    first = stride * (places // width * width_px + places % width)
    samples = torch.arange(len(places), device=places.device) * (height_px * width_px)
    return (samples[:, None, None] + first[:, :, None] + pixels).flatten(1)


def _taken(values: Tensor, places: Tensor, width: int, side: int, stride: int) -> Tensor:
    """Patches of a map, zero beyond its edge: (B, D, H, W), (B, n) -> (B, n, side² D), pixel by pixel."""
    padded = F.pad(values, ((side - stride) // 2,) * 4).permute(0, 2, 3, 1)
    pixels = _pixels(places, width, side, stride, (padded.shape[1], padded.shape[2]))
    return padded.flatten(0, 2).index_select(0, pixels.flatten()).view(*places.shape, -1)


def _pasted(patches: Tensor, places: Tensor, size: tuple[int, int], width: int, stride: int) -> Tensor:
    """The sum of patches of stride + 2 pixels on an empty map: (B, n, side² D), (B, n) -> (B, D, H, W)."""
    padded = size[0] + 2, size[1] + 2
    channels = patches.shape[2] // (stride + 2) ** 2
    pixels = _pixels(places, width, stride + 2, stride, padded)
    canvas = patches.new_zeros(len(patches) * padded[0] * padded[1], channels)
    canvas = canvas.index_add(0, pixels.flatten(), patches.reshape(-1, channels))
    return canvas.view(len(patches), *padded, channels)[:, 1:-1, 1:-1].permute(0, 3, 1, 2)


def _packed(*chosen: Tensor) -> list[tuple[Tensor, Tensor]]:
    """The true elements of each (B, N) tensor as indices (B, n), ascending, and which of them are real: (B, n), bool.

    Each sample has its own number of them; the shorter rows are filled up with indices of elements that are false. How
    many there are must be known on the host. On a GPU that is the one moment at which it waits for the device, however
    large the batch.
    """
    stacked = torch.stack(chosen)
    # Sorted, stably: true first. `nonzero` would wait once for each sample.
    order = stacked.to(torch.uint8).argsort(dim=2, descending=True, stable=True)
    longest = stacked.sum(dim=2).amax(dim=1).tolist()
    return [
        (indices[:, :n], flags.gather(1, indices[:, :n])) for indices, flags, n in zip(order, stacked, longest, strict=True)
    ]


def _comparable(
    compared: Holed, kernel_size: int, affinity: Affinity, queries: Tensor, keys: Tensor, is_key: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Rows whose products, with the bias of the key, are the affinities: (B, q, E), (B, k, E), (B, k).

    What depends on the query alone is left out: the softmax cancels it.
    """
    values, hole = compared
    width = values.shape[-1]

    def patches(x: Tensor, places: Tensor) -> Tensor:
        return _taken(x, places, width, kernel_size, 1)

    if affinity == "picture":
        values = values.detach()  # the picture is what it is: nothing to learn
        known = (~hole).to(values.dtype)
        count = known.sum(dim=(1, 2, 3)).clamp_min(1)[:, None, None, None]
        deviation = values - (values * known).sum(dim=(2, 3), keepdim=True) / count
        energy = deviation.square().sum(dim=1, keepdim=True)
        variance = ((energy * known).sum(dim=(2, 3), keepdim=True) / count).clamp_min(1e-4)[:, 0]
        weights = patches(known + FILLED_WEIGHT * (1 - known), queries)  # 0 beyond the map's edge
        weights = weights / (variance * weights.sum(dim=2, keepdim=True))
        weighted = (patches(deviation, queries).unflatten(2, (-1, values.shape[1])) * weights[..., None]).flatten(2)
        # -sum w (q - k)² = 2 sum w q k - sum w k² - (of the query alone)
        key_rows = torch.cat([patches(deviation, keys), patches(energy, keys)], dim=2)
        return torch.cat([2 * weighted, -weights], dim=2), key_rows, values.new_zeros(keys.shape)
    query_rows, key_rows = patches(values, queries), patches(values, keys)
    if affinity == "cosine":
        return F.normalize(query_rows, dim=2, eps=1e-4), F.normalize(key_rows, dim=2, eps=1e-4), values.new_zeros(keys.shape)
    norms = key_rows.square().sum(dim=2)
    count = is_key.sum(dim=1, keepdim=True).clamp_min(1)
    unit = ((norms * is_key).sum(dim=1, keepdim=True) / count).clamp_min(1e-8)
    return query_rows / unit[..., None], key_rows, -norms / (2 * unit)  # -|q - k|²/(2 unit)


def _attend(
    queries: Tensor,
    keys: Tensor,
    bias: Tensor,
    values: Tensor,
    places: Tensor,
    revised: Callable[[Tensor, Tensor], Tensor] | None,
) -> Tensor:
    """softmax(queries @ keys' + bias) @ values, a chunk of queries at a time; where they are is told to who revises scores.

    (B, q, E), (B, k, E), (B, 1, k), (B, k, V), (B, q) -> (B, q, V)
    """
    keys = keys.transpose(1, 2)

    def chunk(rows: Tensor, places: Tensor, keys: Tensor, bias: Tensor, values: Tensor) -> Tensor:
        scores = torch.baddbmm(bias, rows, keys)
        return torch.softmax(revised(places, scores) if revised else scores, dim=2) @ values

    scores = len(queries) * queries.shape[1] * keys.shape[2]
    again = torch.is_grad_enabled() and scores > KEPT_SCORES
    parts = []
    at_once = max(1, max_scores(keys.device) // (len(keys) * keys.shape[2]))
    for rows, where in zip(queries.split(at_once, dim=1), places.split(at_once, dim=1), strict=True):
        arguments = rows, where, keys, bias, values
        parts.append(checkpoint(chunk, *arguments, use_reentrant=False) if again else chunk(*arguments))
    return torch.cat(parts, dim=1)
