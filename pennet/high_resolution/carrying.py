"""The idea of PEN-Net, section 3.2, above the network: what attention found at one scale fills the next finer one, again and
again, down to the photo's own pixels.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from pennet.high_resolution.scale import Scale
from pennet.high_resolution.texture import roughness
from pennet.models.attention import Holed
from pennet.models.pyramid import holed_pyramid
from pennet.models.seamless import with_border, without_seam
from pennet.models.smooth import smooth_fill

SMALLEST_SIDE_PX = 40
"""The search for sources starts at a scale of this side, or of up to twice of it."""
ROUNDS = 6
"""Times that sources are searched and the hole is filled, at each scale but the finest ones, the dearest."""
LAST_ROUNDS = (2, 3)
"""The same at the photo's own size and at half of it. There sources are carried and spread, and no far ones tried."""
RANDOM = 6
"""Random sources that each pixel tries in a round, in ever smaller neighbourhoods of its own."""
MAX_COMPARED = 2 * 10**7
"""Pairs of patches of which all are compared: at scales with more, sources spread from neighbour to neighbour."""


def carry_up(image: Tensor, mask: Tensor, prediction: Tensor, sources: Tensor | None) -> Tensor:
    """Fills the hole of a large picture from a prediction of the same picture made at a smaller size.

    Args:
        image: (3, H, W) in [-1, 1], H = f h and W = f w with f a power of two; what is in the hole is never seen.
        mask: (1, H, W) in {0, 1}, 1 = hole.
        prediction: (3, h, w) in [-1, 1]: of the picture averaged over cells of f x f pixels; a cell with any hole pixel was
            hole.
        sources: (2, h, w), line and column in pixels of the small picture that each of its pixels was copied from
            (`pennet.inference.predict_sources`); None for a method that copies no pixels: the likeness of what it predicted
            to what is known decides.

    Returns:
        (3, H, W) in [-1, 1]: known pixels untouched. The prediction, enlarged, where nothing can be copied: no patch of the
        small picture is wholly known.

    Raises:
        ValueError: sizes that do not fit.
    """
    factor = _factor(image, prediction)
    mask = mask.float()
    known = torch.where(mask > 0, 0.0, image.float())
    whole = torch.cat([known, roughness(known, mask)])
    pyramid = [(values[0], cells[0]) for values, cells in holed_pyramid(whole[None], mask[None], factor.bit_length())]
    small, hole = pyramid.pop()
    guess = smooth_fill(small[None, 3:], hole[None].float())[0]
    small = torch.cat([torch.where(hole, prediction.float(), small[:3]), guess])
    if factor == 1 or not hole.any():
        return torch.where(mask > 0, small[:3], image)
    scale: Scale | None = None
    found: Tensor | None = None
    for values, cells in _coarser(small, hole):
        coarse, scale = scale, Scale(values, cells)
        if not scale.can_copy.any():
            scale = None
            continue
        start = _all_compared(scale) if coarse is None or found is None else _carried(coarse, found, scale)
        found = _improved(scale, start, ROUNDS)
    if scale is None or found is None:
        enlarged = F.interpolate(small[None, :3], scale_factor=factor, mode="bilinear")[0]
        return torch.where(mask > 0, enlarged, image)
    if sources is not None:
        scale, found = _better(scale, found, small, hole, sources)
    for left, (values, cells) in reversed(list(enumerate(pyramid))):
        channels = 3 if left == 0 else len(values)  # at the photo's own size roughness can be seen in the pixels
        coarse, scale = scale, Scale(values[:channels], cells)
        is_dear = left < len(LAST_ROUNDS)
        rounds = LAST_ROUNDS[left] if is_dear else ROUNDS
        found = _improved(scale, _carried(coarse, found, scale), rounds, searches=not is_dear)
    border = with_border(Holed(known[None], (mask > 0)[None]))
    copied = border._replace(values=torch.where(border.hole, scale.with_line(found)[None], known))
    filled = without_seam(Holed(known[None], (mask > 0)[None]), copied).values[0].clamp(-1, 1)
    return torch.where(mask > 0, filled, image)


def _factor(image: Tensor, prediction: Tensor) -> int:
    (height, width), (h, w) = image.shape[-2:], prediction.shape[-2:]
    factor = height // h if h else 0
    if factor < 1 or factor & (factor - 1) or (height, width) != (factor * h, factor * w):
        raise ValueError(f"image of {height}x{width} px: not a power of two times the prediction's {h}x{w}")
    return factor


def _coarser(small: Tensor, hole: Tensor) -> list[tuple[Tensor, Tensor]]:
    """The small picture and still smaller ones, the smallest first, and their holes."""
    scales = [(small, hole)]
    while min(small.shape[-2:]) >= 2 * SMALLEST_SIDE_PX:
        odd = (0, small.shape[-1] % 2, 0, small.shape[-2] % 2)
        small = F.avg_pool2d(F.pad(small[None], odd, mode="replicate")[0], 2)
        hole = F.max_pool2d(F.pad(hole.float(), odd, value=1.0), 2) > 0
        scales.append((small, hole))
    return scales[::-1]


def _carried(coarse: Scale, sources: Tensor, fine: Scale) -> Tensor:
    """Sources of the next finer scale: as far from each pixel as they were, in pixels twice as small; fills its hole."""
    line, column = fine.line_and_column(fine.queries)
    source_line, source_column = coarse.line_and_column(sources[coarse.place(line // 2, column // 2)])
    moved = fine.allowed(line + 2 * (source_line - line // 2), column + 2 * (source_column - column // 2))
    # A patch that is wholly known holds those of its pixels at the finer scale: all of `moved` may be copied.
    places = torch.arange(len(fine.is_query), device=line.device)
    places[fine.queries] = moved
    fine.fill(places)
    return places


def _all_compared(scale: Scale) -> Tensor:
    """The places most alike to what the hole shows now: (N,), of every place."""
    places = torch.arange(len(scale.is_query), device=scale.queries.device)
    places[scale.queries] = scale.most_alike(scale.queries)
    return places


def _better(scale: Scale, found: Tensor, small: Tensor, hole: Tensor, named: Tensor) -> tuple[Scale, Tensor]:
    """What was found from the coarser scales, or what the network named, if that fits better.

    Fitting is to be alike in colour to the filled picture, and as rough as what surrounds the hole.

    Args:
        scale, found: the network's scale, filled, and its sources.
        small: (C, h, w), with the network's prediction in the hole, and the guess of how rough it is.
        hole: (1, h, w), bool.
        named: (2, h, w), the network's sources.
    """
    own, places = Scale(small, hole), found.clone()  # known pixels beside the hole have no source of the network's
    line, column = own.line_and_column(own.queries)
    known = own.allowed(*named.long()[:, line, column])
    places[own.queries] = torch.where(known >= 0, known, places[own.queries])
    own.fill(places)
    places = _improved(own, places, ROUNDS, searches=False)
    ways = [(scale, found), (own, places)]
    return min(ways, key=lambda way: way[0].mean_difference(way[1], torch.cat([way[0].picture[:3], small[3:]])))


def _improved(scale: Scale, sources: Tensor, rounds: int, searches: bool = True) -> Tensor:
    """Searches sources that are more alike, and fills the hole with them, again and again.

    Args:
        scale: whose hole is filled; what is in it now is what sources are compared with.
        sources: (N,), of every place.
        rounds: how often.
        searches: tries far sources too, not only those of neighbours.

    Returns:
        (N,).
    """
    queries = scale.queries
    compares_all = len(queries) * int(scale.can_copy.sum()) <= MAX_COMPARED
    generator = torch.Generator().manual_seed(0)
    for done in range(rounds):
        own = sources[queries]
        beside = [queries + d for d in scale.neighbours]
        spread = [torch.where(scale.is_query[p], sources[p] - (p - queries), -1) for p in beside]
        far: list[Tensor] = []
        if searches:
            far = [scale.most_alike(queries)] if compares_all else _random(scale, own, generator)
        if searches or not done:
            far += [own + dy * scale.stride + dx for dy in (-1, 0, 1) for dx in (-1, 0, 1) if dy or dx]
        sources = sources.clone()
        sources[queries] = scale.best(sources, [*spread, *far])
        scale.fill(sources)
    return sources


def _random(scale: Scale, own: Tensor, generator: torch.Generator) -> list[Tensor]:
    """Places around sources, from half the picture's side to a few pixels away."""
    line, column = scale.line_and_column(own)
    found, radius = [], max(scale.height, scale.width) / 2
    for _ in range(RANDOM):
        # Drawn on the CPU: the same on every device.
        step = (torch.rand(2, len(own), generator=generator) * 2 - 1) * radius
        dy, dx = step.round().long().to(own.device)
        found.append(scale.allowed(line + dy, column + dx))
        radius = max(radius / 2, 2)
    return found
