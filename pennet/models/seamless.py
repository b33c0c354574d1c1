"""Copies without a seam: what a copy misses along a hole's border is added to it, and fades into the hole."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from pennet.models.attention import Holed
from pennet.models.smooth import smooth_fill


def with_border(picture: Holed) -> Holed:
    """A picture whose hole reaches one pixel further: what is copied to that line can be compared with what is known."""
    return picture._replace(hole=F.max_pool2d(picture.hole.float(), 3, stride=1, padding=1) > 0)


def without_seam(picture: Holed, copied: Holed) -> Holed:
    """A picture with its hole filled by a copy that agrees with the known pixels around it.

    The difference between the known and the copied pixels of the line around the hole is interpolated into the hole and
    added to the copy, which then has the colour and the light that its surroundings ask for. It is a correction of what was
    copied and nothing to learn from: gradients pass to the copy alone.

    Args:
        picture: (B, 3, H, W) and its hole.
        copied: the same picture, filled in the hole and in the line around it (`with_border`).

    Source: the membrane of Perez et al., Poisson Image Editing, 2003, section 3, by `smooth_fill`, which comes near to the
        solution of the Laplace equation.
    """
    line = (copied.hole & ~picture.hole).to(copied.values.dtype)
    missing = smooth_fill((picture.values - copied.values).detach(), 1 - line)
    return picture._replace(values=torch.where(picture.hole, copied.values + missing, picture.values))
