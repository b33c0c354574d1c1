"""`fill_holes` as the equations stand, one position after the other, and holes to try it on."""

from __future__ import annotations

import functools

import torch
import torch.nn.functional as F
from torch import Tensor

from pennet.masks import numbered_mask
from pennet.models.attention import FILLED_WEIGHT, Holed


def holed(values: Tensor, mask: Tensor) -> Holed:
    """A map whose positions are holes where any pixel of their cell is one."""
    return Holed(values, F.adaptive_max_pool2d(mask, values.shape[-2:]) > 0)


@functools.cache
def holes() -> dict[str, Tensor]:
    """(1, 1, 64, 64) each, in float64; on maps of 8 x 8, `starved` leaves nothing to copy."""
    masks = {name: torch.zeros(1, 1, 64, 64, dtype=torch.float64) for name in ("none", "pixel", "centre", "edge", "corner")}
    masks |= {name: torch.zeros(1, 1, 64, 64, dtype=torch.float64) for name in ("width", "height", "starved", "all")}
    masks["pixel"][..., 31, 7] = 1
    masks["centre"][..., 20:45, 18:40] = 1
    masks["edge"][..., 13:40, 45:] = 1
    masks["corner"][..., :30, :27] = 1
    masks["width"][..., 20:40, :] = 1
    masks["height"][..., :, 11:30] = 1
    masks["starved"][..., ::4, :] = 1
    masks["all"][:] = 1
    irregular = (torch.from_numpy(numbered_mask("irregular", 7, i, 64, 64)).double() for i in range(200))
    masks["irregular"] = next(m for m in irregular if 0.55 < m.mean() < 0.65)[None, None]
    return masks


def literal_fill(
    maps: list[Holed],
    compared: Holed,
    mask: Tensor,
    k: int,
    scale: float,
    threshold: float,
    affinity: str,
    middle: float = 1.0,
) -> list[Tensor]:
    """Arguments and result as of `fill_holes`, by its definition."""
    results = [values.clone() for values, _ in maps]
    height, width = compared.values.shape[-2:]
    for b in range(len(mask)):
        keys = [i for i, ok in enumerate(_may_be_copied(mask[b, 0], height, width, k, threshold, affinity)) if ok]
        if not keys:
            continue
        likeness = _likeness(Holed(compared.values[b], compared.hole[b, 0]), k, keys, affinity)
        canvases = [torch.zeros_like(F.pad(values[b], (1,) * 4)) for values, _ in maps]
        covered = [torch.zeros_like(canvas[:1]) for canvas in canvases]
        for p in range(height * width):
            weights = torch.softmax(torch.stack([likeness(p, q) for q in keys]) * scale, dim=0)
            for (values, _), canvas, cover in zip(maps, canvases, covered, strict=True):
                n = values.shape[-1] // width
                wide, there = F.pad(values[b], (1,) * 4), F.pad(torch.ones_like(values[b, :1]), (1,) * 4)
                here = _window(p, width, n)
                counts = torch.full((n + 2, n + 2), middle * middle, dtype=torch.float64)
                counts[0], counts[-1], counts[:, 0], counts[:, -1] = (middle,) * 4
                counts[[0, 0, -1, -1], [0, -1, 0, -1]] = 1.0
                for weight, q in zip(weights, keys, strict=True):
                    canvas[here] += weight * counts * wide[_window(q, width, n)]
                    cover[here] += weight * counts * there[_window(q, width, n)]
        for (values, hole), canvas, cover, result in zip(maps, canvases, covered, results, strict=True):
            mean = canvas[:, 1:-1, 1:-1] / cover[:, 1:-1, 1:-1]
            result[b] = torch.where(hole[b], mean, values[b])
    return results


def _window(place: int, width: int, n: int) -> tuple[slice, slice, slice]:
    """The n + 2 lines and columns of a place's patch in a map that is padded by 1."""
    y, x = divmod(place, width)
    return slice(None), slice(n * y, n * y + n + 2), slice(n * x, n * x + n + 2)


def _may_be_copied(mask: Tensor, height: int, width: int, k: int, threshold: float, affinity: str) -> list[bool]:
    """By the share of hole pixels in the patch of 4 at twice the size, and, of features, in the compared patch."""
    cell, half, r = mask.shape[-1] // width, mask.shape[-1] // width // 2, k // 2
    valid = []
    for y in range(height):
        for x in range(width):
            copied = mask[max(0, 2 * y - 1) * half : (2 * y + 3) * half, max(0, 2 * x - 1) * half : (2 * x + 3) * half]
            seen = mask[max(0, y - r) * cell : (y + r + 1) * cell, max(0, x - r) * cell : (x + r + 1) * cell]
            shares = [copied.mean()] if affinity == "picture" else [copied.mean(), seen.mean()]
            valid.append(all(share <= threshold for share in shares))
    return valid


def _likeness(compared: Holed, k: int, keys: list[int], affinity: str):
    """A function of two places; (C, h, w) and (h, w)."""
    values, hole = compared
    (height, width), r = values.shape[-2:], k // 2

    def patch(x: Tensor, place: int) -> Tensor:
        y, x0 = divmod(place, width)
        return F.pad(x, (r,) * 4)[:, y : y + k, x0 : x0 + k].flatten()

    if affinity == "cosine":
        return lambda p, q: F.cosine_similarity(patch(values, p), patch(values, q), dim=0)
    if affinity == "euclidean":
        energy = sum(patch(values, q).square().sum() for q in keys) / len(keys)
        return lambda p, q: -(patch(values, p) - patch(values, q)).square().sum() / (2 * energy)

    known = values[:, ~hole]
    mean = known.mean(dim=1)
    variance = (known - mean[:, None]).square().sum(dim=0).mean()

    def distance(p: int, q: int) -> Tensor:
        total, weight = torch.zeros((), dtype=values.dtype), 0.0
        for dy in range(-r, r + 1):
            for dx in range(-r, r + 1):
                (py, px), (qy, qx) = divmod(p, width), divmod(q, width)
                if not (0 <= py + dy < height and 0 <= px + dx < width):
                    continue
                inside = 0 <= qy + dy < height and 0 <= qx + dx < width
                there = values[:, qy + dy, qx + dx] if inside else mean
                w = FILLED_WEIGHT if hole[py + dy, px + dx] else 1.0
                total = total + w * (values[:, py + dy, px + dx] - there).square().sum()
                weight += w
        return -total / (weight * variance)

    return distance
