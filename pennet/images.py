"""Pictures as arrays: the only place where bytes become [-1, 1] and back."""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

Picture = NDArray[np.uint8]
"""(H, W, 3) uint8 RGB."""
Resample = Literal["nearest", "box", "bilinear", "bicubic", "lanczos"]


def to_float(pictures: Picture) -> Tensor:
    """uint8 (N, H, W, 3), or one picture (H, W, 3) -> float32 (N, 3, H, W), or (3, H, W), in [-1, 1]."""
    return torch.from_numpy(np.array(pictures)).movedim(-1, -3).float().div(127.5).sub(1).contiguous()


def to_uint8(pictures: Tensor) -> Picture:
    """float (N, 3, H, W) in [-1, 1], rounded and clipped -> uint8 (N, H, W, 3). Undoes `to_float` exactly."""
    scaled = pictures.detach().float().add(1).mul(127.5).round().clamp(0, 255)
    return scaled.to(torch.uint8).movedim(-3, -1).contiguous().cpu().numpy()


def resize_square(picture: Picture, size_px: int, resample: Resample = "bilinear") -> Picture:
    """Centre square of a picture, resized by one of Pillow's filters, antialiased but for `nearest`; itself if it has that
    size."""
    height, width = picture.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    square = picture[top : top + side, left : left + side]
    if side == size_px:
        return square
    return np.array(Image.fromarray(square).resize((size_px, size_px), Image.Resampling[resample.upper()]))
