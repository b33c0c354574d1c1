"""Pictures as arrays: the only place where bytes become [-1, 1] and back."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

Picture = NDArray[np.uint8]
"""(H, W, 3) uint8 RGB."""


def to_float(pictures: Picture) -> Tensor:
    """uint8 (N, H, W, 3), or one picture (H, W, 3) -> float32 (N, 3, H, W), or (3, H, W), in [-1, 1]."""
    return torch.from_numpy(np.array(pictures)).movedim(-1, -3).float().div(127.5).sub(1).contiguous()


def to_uint8(pictures: Tensor) -> Picture:
    """float (N, 3, H, W) in [-1, 1], rounded and clipped -> uint8 (N, H, W, 3). Undoes `to_float` exactly."""
    scaled = pictures.detach().float().add(1).mul(127.5).round().clamp(0, 255)
    return scaled.to(torch.uint8).movedim(-3, -1).contiguous().cpu().numpy()


def read_rgb(file: Path | BinaryIO, name: str = "") -> Picture:
    """Decodes a picture completely, as RGB.

    Args:
        file: a path, or an open binary file.
        name: what to call an open file in an error.

    Grey and palette pictures become RGB, a camera's note on which side is up is followed; transparency is refused, because
    what lies under it is anybody's guess.

    Raises:
        ValueError: not a picture, truncated, or transparent; names the file.
    """
    path = name or file
    try:
        with Image.open(file) as image:
            image.load()
            if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
                raise ValueError(f"{path}: has transparency; flatten it onto a background first")
            return np.array(ImageOps.exif_transpose(image).convert("RGB"))
    except (UnidentifiedImageError, OSError, SyntaxError) as error:
        raise ValueError(f"{path}: cannot be read as a picture ({error}); repair or remove it") from error


def read_mask(path: Path) -> NDArray[np.uint8]:
    """Reads a mask, white (above 127) = hole: (H, W) uint8 in {0, 1}.

    Raises:
        ValueError: not a picture, or truncated; names the file.
    """
    try:
        with Image.open(path) as image:
            return (np.array(ImageOps.exif_transpose(image).convert("L")) > 127).astype(np.uint8)
    except (UnidentifiedImageError, OSError, SyntaxError) as error:
        raise ValueError(f"{path}: cannot be read as a mask ({error}); repair or remove it") from error


def resize_square(picture: Picture, size_px: int) -> Picture:
    """Centre square of a picture, resized with an antialiased bilinear filter; itself if it has that size."""
    height, width = picture.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    square = picture[top : top + side, left : left + side]
    if side == size_px:
        return square
    return np.array(Image.fromarray(square).resize((size_px, size_px), Image.Resampling.BILINEAR))
