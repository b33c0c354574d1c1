"""Holes of many shapes."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor


def holes(batch: int, height: int, width: int) -> Iterator[Tensor]:
    """A box, another one for the last sample that touches the edge; scattered pixels; no hole; nothing but a hole."""
    boxes = torch.zeros(batch, 1, height, width)
    boxes[:, :, height // 4 : height // 2, width // 4 : width // 2 + 1] = 1
    boxes[-1, :, : height // 3, width // 2 :] = 1
    yield boxes
    yield (torch.rand(batch, 1, height, width) < 0.05).float()
    yield torch.zeros_like(boxes)
    yield torch.ones_like(boxes)
