"""The smooth guess of what is in a hole: nearly the membrane that is stretched between the known pixels around it."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from pennet.compositing import fill_hole

ROUNDS = 4
"""Times that each scale is relaxed. The steps along a hole's border are what they do away with."""


def smooth_fill(image: Tensor, mask: Tensor) -> Tensor:
    """Fills holes by averaging known pixels over ever larger cells, and interpolating back: each scale begins with what the
    coarser one gives, and then every unknown pixel becomes the mean of its four neighbours, a few times.

    Args:
        image: (B, C, H, W); known pixels come back untouched, hole pixels are never seen.
        mask: (B, 1, H, W) in {0, 1}, 1 = hole.

    Returns:
        (B, C, H, W). A picture without any known pixel comes back as 0.

    Source: Gortler et al., The Lumigraph, 1996, section 3.5 (pull-push); what it starts at each scale is relaxed towards the
        solution of the Laplace equation, as in Bornemann and Deuflhard, The cascadic multigrid method for elliptic problems,
        1996. A cell's weight saturates at half a cell of known pixels, so that a line of them through a cell counts as much
        there as a known cell.
    """
    return _pull_push(fill_hole(image, mask, 0.0), 1 - mask)


def relaxed(image: Tensor, known: Tensor, rest: Tensor) -> Tensor:
    """What is known, and of the rest a guess that was made smoother.

    Args:
        image: (B, C, H, W).
        known: (B, 1, H, W) in [0, 1], the weight of what is known of each cell.
        rest: (B, C, H, W), the guess; or a value for all, (B, C, 1, 1).
    """
    held, share = known * image, (1 - known) / 4
    filled = held + (1 - known) * rest
    for _ in range(ROUNDS):
        framed = F.pad(filled, (1, 1, 1, 1), mode="replicate")
        lines, columns = framed[..., 1:-1], framed[..., 1:-1, :]
        around = lines[..., :-2, :] + lines[..., 2:, :] + columns[..., :-2] + columns[..., 2:]
        filled = torch.addcmul(held, share, around)
    return filled


def _pull_push(image: Tensor, known: Tensor) -> Tensor:
    """(B, C, H, W) and the weight of what is known of each cell, (B, 1, H, W) in [0, 1]; unknown cells are 0."""
    height, width = image.shape[-2:]
    if height % 2 or width % 2:
        total = known.sum(dim=(2, 3), keepdim=True)
        return relaxed(image, known, (image * known).sum(dim=(2, 3), keepdim=True) / total.clamp_min(1e-20))
    share = F.avg_pool2d(known, 2)
    average = F.avg_pool2d(image * known, 2) / share.clamp_min(1e-20)
    coarse = _pull_push(average, (2 * share).clamp(max=1))
    return relaxed(image, known, F.interpolate(coarse, scale_factor=2, mode="bilinear", align_corners=False))
