"""One scale of a picture whose hole is filled with copies: how alike patches are, and what the copies show."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from pennet.models.attention import FILLED_WEIGHT
from pennet.models.chunks import max_scores

PATCH_PX = 7
REACH_PX = PATCH_PX // 2
VOTES_PX = 3
"""Side of the square whose pixels have a say in a copied pixel: what the source of a neighbour shows there."""
VOTES_SIGMA_PX = 0.75
QUERIES_PX = 2
"""Known pixels so far from the hole get a source too: all that have a say, and the line that tells of a seam."""
AT_ONCE = 2048
"""Patches compared at once: few enough to stay in a core's cache."""
DISAGREEMENT = 0.3
"""By which share a source counts as less alike if none of the four neighbours has its source beside it."""
INDIFFERENCE = 1e-5
"""The same where all are equally alike, as in a flat picture; mean squared difference of pixels in [-1, 1]."""


class Scale:
    """A picture, its hole, and for each pixel of it the place where it is copied from.

    Places are indices into the flattened picture with a margin around, so that a step to the side is a number.

    Args:
        values: (C, H, W): the picture in [-1, 1], and what else is compared and copied with it; filled somehow.
        hole: (1, H, W), bool.
    """

    def __init__(self, values: Tensor, hole: Tensor):
        self.channels, self.height, self.width = values.shape
        self.margin = REACH_PX + QUERIES_PX + 1
        self.stride = self.width + 2 * self.margin
        padded = self._padded(hole.float())
        known = self._padded((~hole).float())
        self.values = self._flat(values)
        self.weights = (known + FILLED_WEIGHT * padded).flatten()  # 0 beyond the picture's edge
        self.can_copy = F.max_pool2d(1 - known, PATCH_PX, 1, REACH_PX).flatten() == 0
        near = F.max_pool2d(padded, 2 * QUERIES_PX + 1, 1, QUERIES_PX)
        self.is_query = (near * (known + padded)).flatten() > 0
        self.queries = self.is_query.nonzero()[:, 0]
        self.is_hole = padded.flatten()[self.queries] > 0
        self.neighbours = (-1, 1, -self.stride, self.stride)

    @property
    def picture(self) -> Tensor:
        """(C, H, W), filled."""
        return self._unflat(self.values)

    def place(self, line: Tensor, column: Tensor) -> Tensor:
        return (line + self.margin) * self.stride + column + self.margin

    def line_and_column(self, places: Tensor) -> tuple[Tensor, Tensor]:
        return places // self.stride - self.margin, places % self.stride - self.margin

    def allowed(self, line: Tensor, column: Tensor) -> Tensor:
        """The places; -1 where they lie outside of the picture, or their patch is not wholly known."""
        inside = (line >= 0) & (line < self.height) & (column >= 0) & (column < self.width)
        places = torch.where(inside, self.place(line, column), 0)
        return torch.where(self.can_copy[places], places, -1)

    def most_alike(self, queries: Tensor) -> Tensor:
        """The place most alike to each, of all that may be copied: (n,) -> (n,)."""
        keys = self.can_copy.nonzero()[:, 0]
        rows = self._patches(self.values, self.channels, keys)
        squares, found = rows.square().T, []
        for some in queries.split(max(1, max_scores(keys.device) // len(keys))):
            patch, weight = self._query(some)
            scores = torch.addmm(weight @ squares, patch * weight, rows.T, alpha=-2)
            found.append(keys[scores.argmin(dim=1)])
        return torch.cat(found)

    def best(self, sources: Tensor, candidates: Sequence[Tensor]) -> Tensor:
        """The best of the sources that each pixel has and of others.

        Args:
            sources: (N,), of every place; a query's may be copied.
            candidates: (n,) each, of the queries; -1 for none.

        Returns:
            (n,), of the queries.
        """
        found = []
        for start in range(0, len(self.queries), AT_ONCE):
            part = slice(start, start + AT_ONCE)
            place = self.queries[part]
            patch, weight = self._query(place)
            moved = [torch.where(self.is_query[place + d], sources[place + d] - place - d, 0) for d in self.neighbours]
            around = torch.stack(moved, dim=1)
            chosen = sources[place]
            lowest = self._difference(patch, weight, place, around, chosen)
            for candidate in candidates:
                new = candidate[part]
                rows = ((new != chosen) & (new >= 0) & self.can_copy[new.clamp_min(0)]).nonzero()[:, 0]
                if not len(rows):
                    continue
                new = new[rows]
                if len(rows) == len(place):
                    difference = self._difference(patch, weight, place, around, new)
                else:
                    difference = self._difference(patch[rows], weight[rows], place[rows], around[rows], new)
                better = difference < lowest[rows]
                lowest[rows[better]], chosen[rows[better]] = difference[better], new[better]
            found.append(chosen)
        return torch.cat(found)

    def copied(self, sources: Tensor) -> Tensor:
        """What the sources show at the queries: (N,) -> (n, C); what a pixel's neighbours copy has a say in it."""
        total, copies = self.values.new_zeros(len(self.queries), 1), torch.zeros_like(self.values[self.queries])
        reach = range(-(VOTES_PX // 2), VOTES_PX // 2 + 1)
        for line, column in ((i, j) for i in reach for j in reach):
            step = line * self.stride + column
            voter = self.queries + step
            say = math.exp(-(line**2 + column**2) / (2 * VOTES_SIGMA_PX**2)) * self.is_query[voter, None]
            copies = copies + say * self.values.index_select(0, sources[voter] - step)
            total += say
        return copies / total

    def mean_difference(self, sources: Tensor, asked: Tensor) -> float:
        """How far the patches that are copied are from those that are asked for, (C, H, W): mean over the queries."""
        values, total = self._flat(asked), 0.0
        for place in self.queries.split(AT_ONCE):
            weight = self._query(place)[1]
            apart = self._patches(self.values, self.channels, sources[place]) - self._patches(values, self.channels, place)
            total += float((apart.square() * weight).sum())
        return total / max(1, len(self.queries))

    def fill(self, sources: Tensor) -> None:
        """Fills the hole with what the sources show."""
        self.values[self.queries[self.is_hole]] = self.copied(sources)[self.is_hole]

    def with_line(self, sources: Tensor) -> Tensor:
        """The picture, filled, with the copy also in the known pixels beside the hole: (C, H, W)."""
        values = self.values.clone()
        values[self.queries] = self.copied(sources)
        return self._unflat(values)

    def _difference(self, patch: Tensor, weight: Tensor, place: Tensor, around: Tensor, source: Tensor) -> Tensor:
        """Weighted mean squared difference of patches, more if the neighbours' sources do not lie beside the source."""
        there = self._patches(self.values, self.channels, source)
        apart = there.sub_(patch).square_().mul_(weight).sum(dim=1)
        alone = (around != (source - place)[:, None]).float().mean(dim=1)
        return apart * (1 + DISAGREEMENT * alone) + INDIFFERENCE * alone

    def _query(self, places: Tensor) -> tuple[Tensor, Tensor]:
        """Patches around places and the weights of their values, of sum 1 a pixel: (n, patch² C) each."""
        weight = self._patches(self.weights, 1, places)
        weight = (weight / weight.sum(dim=1, keepdim=True)).repeat_interleave(self.channels, dim=1)
        return self._patches(self.values, self.channels, places), weight

    def _patches(self, values: Tensor, channels: int, places: Tensor) -> Tensor:
        """(N, channels) -> (n, patch² channels), pixel by pixel."""
        # A patch's line is one run of numbers: taken as a whole it costs a tenth of what its pixels cost.
        flat = values.flatten()
        runs = flat.as_strided((len(flat) // channels - PATCH_PX + 1, PATCH_PX * channels), (channels, 1))
        lines = torch.arange(-REACH_PX, REACH_PX + 1, device=places.device) * self.stride - REACH_PX
        return runs.index_select(0, (places[:, None] + lines).flatten()).view(len(places), -1)

    def _padded(self, values: Tensor) -> Tensor:
        return F.pad(values, (self.margin,) * 4)

    def _flat(self, values: Tensor) -> Tensor:
        return self._padded(values).flatten(1).T.contiguous()

    def _unflat(self, values: Tensor) -> Tensor:
        m = self.margin
        return values.T.reshape(self.channels, -1, self.stride)[:, m:-m, m:-m]
