"""`pennet.models.smooth` for a size that is not known yet: as many halvings as any picture needs, in one graph."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from pennet.compositing import fill_hole
from pennet.models.attention import Holed
from pennet.models.smooth import relaxed

MAX_HALVINGS = 10
"""Of a picture, in the graph. Sides that divide by more than 2**10 take the mean of what is known from there on, where the
torch generator goes on; the memory of dense attention ends long before."""


def smooth_fill(image: Tensor, mask: Tensor, sure: int, more: int) -> Tensor:
    """Computes what `pennet.models.smooth.smooth_fill` does.

    Args:
        image, mask: as there; their sides divide by 2**sure.
        sure, more: halvings that both sides have for sure; halvings beyond these that are made where both sides are even.
    """
    return _pull_push(fill_hole(image, mask, 0.0), 1 - mask, sure, more)


def without_seam(picture: Holed, copied: Holed, sure: int, more: int) -> Holed:
    """Computes what `pennet.models.seamless.without_seam` does."""
    line = (copied.hole & ~picture.hole).to(copied.values.dtype)
    missing = smooth_fill(picture.values - copied.values, 1 - line, sure, more)
    return picture._replace(values=torch.where(picture.hole, copied.values + missing, picture.values))


def _pull_push(image: Tensor, known: Tensor, sure: int, more: int) -> Tensor:
    if sure:
        return relaxed(image, known, _from_half(image, known, sure - 1, more))
    total = known.sum(dim=(2, 3), keepdim=True)
    rest = (image * known).sum(dim=(2, 3), keepdim=True) / total.clamp_min(1e-20)
    if more:
        height, width = image.shape[-2:]
        # A line and a column beyond the edge: halving drops them where a side is even, and where one is odd the result is
        # not wanted. So nothing here depends on the size.
        beyond = (0, 1, 0, 1)
        coarse = _from_half(F.pad(image, beyond), F.pad(known, beyond), 0, more - 1)[:, :, :height, :width]
        rest = torch.where(_is_odd(known), rest, coarse)
    return relaxed(image, known, rest)


def _from_half(image: Tensor, known: Tensor, sure: int, more: int) -> Tensor:
    share = F.avg_pool2d(known, 2)
    average = F.avg_pool2d(image * known, 2) / share.clamp_min(1e-20)
    half = _pull_push(average, (2 * share).clamp(max=1), sure, more)
    return F.interpolate(half, scale_factor=2, mode="bilinear", align_corners=False)


def _is_odd(known: Tensor) -> Tensor:
    """Whether a side is odd, as data: (1, 1, 1, 1), bool."""
    ones = torch.ones_like(known[:1])
    height, width = ones[..., :1].sum(dim=2, keepdim=True), ones[:, :, :1].sum(dim=3, keepdim=True)
    return (torch.remainder(height, 2) + torch.remainder(width, 2)) > 0
