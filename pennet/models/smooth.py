"""The smooth guess of what is in a hole: every pixel from known ones, near ones first."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from pennet.compositing import fill_hole


def smooth_fill(image: Tensor, mask: Tensor) -> Tensor:
    """Fills holes by averaging known pixels over ever larger cells and interpolating back.

    Args:
        image: (B, 3, H, W); known pixels come back untouched, hole pixels are never seen.
        mask: (B, 1, H, W) in {0, 1}, 1 = hole.

    Returns:
        (B, 3, H, W). A picture without any known pixel comes back as 0.

    Source: Gortler et al., The Lumigraph, 1996, section 3.5 (pull-push). A cell's weight saturates at half a cell of known
        pixels, so that a line of them through a cell counts as much there as a known cell.
    """
    return _pull_push(fill_hole(image, mask, 0.0), 1 - mask)


def _pull_push(image: Tensor, known: Tensor) -> Tensor:
    """(B, 3, H, W) and the weight of what is known of each cell, (B, 1, H, W) in [0, 1]; unknown cells are 0."""
    height, width = image.shape[-2:]
    if height % 2 or width % 2:
        total = known.sum(dim=(2, 3), keepdim=True)
        mean = (image * known).sum(dim=(2, 3), keepdim=True) / total.clamp_min(1e-20)
        return known * image + (1 - known) * mean
    share = F.avg_pool2d(known, 2)
    average = F.avg_pool2d(image * known, 2) / share.clamp_min(1e-20)
    coarse = F.interpolate(
        _pull_push(average, (2 * share).clamp(max=1)), scale_factor=2, mode="bilinear", align_corners=False
    )
    return known * image + (1 - known) * coarse
