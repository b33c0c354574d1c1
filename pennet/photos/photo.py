"""A photo and all that belongs to it: what is filled, and what has to come back as it was."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[Any]
"""Whatever a file stores of 8 or 16 bits: (H, W, C)."""
Pixels = NDArray[np.uint8] | NDArray[np.uint16]
"""(H, W, 3), RGB in the photo's own colour space; grey photos three times the same; the right side up."""

LUMA = (299, 587, 114)
"""Thousandths of red, green and blue in grey (ITU-R BT.601); they add up, so that grey pixels keep their level."""


@dataclass(frozen=True)
class Form:
    """How a photo was stored."""

    format: str = ""
    """As Pillow names it; empty for pixels that come from no file."""
    grey: bool = False
    """No pixel has a colour: the hole gets none either."""
    bands: int = 3
    """Samples of a pixel in the file, without alpha: 1 or 3."""
    orientation: int = 1
    """Of EXIF: how the stored pixels have to be turned to be the right side up."""
    exif: bytes = b""
    """A TIFF structure, as every format holds it."""
    xmp: bytes = b""
    icc: bytes = b""
    dpi: tuple[float, float] | None = None
    parts: tuple[tuple[bytes, bytes], ...] = ()
    """What else the file holds, by kind, in its format's own bytes."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """How its pixels were compressed."""


@dataclass(frozen=True)
class Photo:
    """What `pennet.photos.reading.read_photo` makes of a file."""

    path: Path
    pixels: Pixels
    alpha: NDArray[np.uint8] | NDArray[np.uint16] | None = None
    """(H, W), of the depth of the pixels; 0 is fully transparent. None for opaque photos."""
    words: tuple[str, ...] = ()
    """What had to be converted or passed over, each a sentence for the person who gave the photo."""
    form: Form = field(default_factory=Form)
    """How it was stored: for `pennet.photos.writing.write_photo`."""


def opaque_in(photo: Photo, mask: NDArray[np.uint8]) -> Photo:
    """The photo without transparency in a hole (H, W): what is painted there is to be seen."""
    if photo.alpha is None:
        return photo
    opaque = photo.alpha.dtype.type(np.iinfo(photo.alpha.dtype).max)
    return replace(photo, alpha=np.where(mask > 0, opaque, photo.alpha))


def grey_of(pixels: Pixels) -> Samples:
    """(H, W, 3) -> (H, W): the luma, rounded; grey pixels keep their level exactly."""
    red, green, blue = (pixels[..., band].astype(np.uint32) for band in range(3))
    return ((LUMA[0] * red + LUMA[1] * green + LUMA[2] * blue + 500) // 1000).astype(pixels.dtype)


def eight_bits(samples: Samples) -> NDArray[np.uint8]:
    """0 to 65535 -> 0 to 255, rounded (65535 = 257 * 255); 8 bits as they are."""
    if samples.dtype == np.uint8:
        return samples.astype(np.uint8, copy=False)
    return ((samples.astype(np.uint32) + 128) // 257).astype(np.uint8)


def turned(samples: Samples, orientation: int) -> Samples:
    """Stored pixels (H, W, ...), the right side up, by an orientation of EXIF."""
    match orientation:
        case 2:
            return samples[:, ::-1]
        case 3:
            return samples[::-1, ::-1]
        case 4:
            return samples[::-1]
        case 5:
            return samples.swapaxes(0, 1)
        case 6:
            return samples.swapaxes(0, 1)[:, ::-1]
        case 7:
            return samples[::-1, ::-1].swapaxes(0, 1)
        case 8:
            return samples.swapaxes(0, 1)[::-1]
        case _:
            return samples


def turned_back(samples: Samples, orientation: int) -> Samples:
    """Undoes `turned`: a quarter turn by the other one, all else by itself."""
    return turned(samples, {6: 8, 8: 6}.get(orientation, orientation))
