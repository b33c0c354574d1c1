"""Pictures as arrays: the only place where bytes become [-1, 1] and back."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from pennet.errors import UserError

Picture = NDArray[np.uint8]
"""(H, W, 3) uint8 RGB."""

UNREADABLE = (UnidentifiedImageError, OSError, SyntaxError, Image.DecompressionBombError)
"""What Pillow raises for a file that is broken, no picture, or of more pixels than it trusts (about 179 million)."""


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

    Grey and palette pictures become RGB, 16-bit grey is scaled by 1/257 and rounded, a camera's note on which side is up is
    followed; transparency is refused, because what lies under it is anybody's guess.

    Raises:
        UserError: not a picture, truncated, too large, transparent, or of 32-bit numbers without a known white; names the
        file.
    """
    path = name or file
    try:
        with Image.open(file) as image:
            image.load()
            _check_opaque(image, path)
            if image.mode.startswith("I;16"):
                return _eight_bits(_grey_16(image))[..., None].repeat(3, axis=-1)
            _check_depth(image, path)
            return np.array(ImageOps.exif_transpose(image).convert("RGB"))
    except UNREADABLE as error:
        raise UserError(f"{path}: cannot be read as a picture ({error}); repair or remove it") from error


def read_mask(path: Path) -> NDArray[np.uint8]:
    """Reads a mask, white (above 127 of 255) = hole: (H, W) uint8 in {0, 1}.

    A picture with no other values than 0 and 1 is a mask as arrays hold it: 1 = hole.

    Raises:
        UserError: not a picture, truncated, too large, transparent, of 32-bit numbers, or with a brightest value that is
        neither 1 nor above mid-grey; names the file.
    """
    try:
        with Image.open(path) as image:
            image.load()
            _check_opaque(image, path)
            is_16 = image.mode.startswith("I;16")
            if not is_16:
                _check_depth(image, path)
            grey = _grey_16(image) if is_16 else np.array(ImageOps.exif_transpose(image).convert("L"))
    except UNREADABLE as error:
        raise UserError(f"{path}: cannot be read as a mask ({error}); repair or remove it") from error
    brightest, middle = int(grey.max()), np.iinfo(grey.dtype).max // 2
    if 1 < brightest <= middle:
        needed = f"holes must be white (above {middle}), or 1 where the rest is 0"
        raise UserError(f"{path}: brightest value {brightest}; {needed}")
    return (grey > (0 if brightest <= 1 else middle)).astype(np.uint8)


def _check_opaque(image: Image.Image, path: object) -> None:
    """Raises ValueError if a pixel is not opaque, or may not be."""
    if not image.has_transparency_data:
        return
    if image.mode.startswith("I;16") or image.convert("RGBA").getchannel("A").getextrema() != (255, 255):
        raise UserError(f"{path}: has transparency; flatten it onto a background first")


def _check_depth(image: Image.Image, path: object) -> None:
    """Raises ValueError for modes whose white is not known: Pillow would clip them at 255."""
    if image.mode in ("I", "F"):
        raise UserError(f"{path}: 32-bit numbers (mode {image.mode}) have no known white; save it with 8 or 16 bits")


def _grey_16(image: Image.Image) -> NDArray[np.uint16]:
    """(H, W), 0 to 65535, whichever byte the file has first."""
    return np.array(ImageOps.exif_transpose(image)).astype(np.uint16)


def _eight_bits(grey: NDArray[np.uint16]) -> NDArray[np.uint8]:
    """0 to 65535 -> 0 to 255, rounded: 65535 = 257 * 255."""
    return ((grey.astype(np.uint32) + 128) // 257).astype(np.uint8)


def resize_square(picture: Picture, size_px: int) -> Picture:
    """Centre square of a picture, resized with an antialiased bilinear filter; itself if it has that size."""
    height, width = picture.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    square = picture[top : top + side, left : left + side]
    if side == size_px:
        return square
    return np.array(Image.fromarray(square).resize((size_px, size_px), Image.Resampling.BILINEAR))
