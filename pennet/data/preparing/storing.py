"""One picture of a source becomes one file of a prepared data set: its own bytes where they will do, else a PNG."""

from __future__ import annotations

import hashlib
import io
import warnings
from dataclasses import dataclass

import numpy as np
from PIL import ExifTags, Image

from pennet.data.pictures.picture_files import read_rgb
from pennet.errors import UserError
from pennet.images import Picture, Resample, resize_square

_ENDINGS = {"JPEG": "jpg", "PNG": "png"}
_PNG_DEPTH = 24
"""Where a PNG says how many bits a channel has."""
_PNG_LEVEL = 1
"""Of 1 to 9; higher ones take up to three times as long, and save nothing of a photo with Pillow's zlib-ng."""


@dataclass(frozen=True)
class Stored:
    """What is kept of a picture."""

    ending: str
    """`jpg` or `png`."""
    content: bytes
    """The file: RGB, square, of the size that was asked for."""
    width_px: int
    """Of the source picture, the right side up."""
    height_px: int
    sha256: bytes
    """Of the content."""
    fingerprint: int
    """64 bits, of the pixels."""
    pixels_sha256: bytes
    """Of the prepared picture's pixels, (S, S, 3) uint8."""


def store(content: bytes, key: str, size_px: int, resample: Resample) -> Stored:
    """Decodes a picture completely, takes its centre square and resizes it.

    Args:
        content: the file, as it was.
        key: what to call it in an error.
        size_px: side of the result.
        resample: Pillow's filter.

    Raises:
        UserError: it cannot be read, is transparent (see `read_rgb`) or too small; names it.
    """
    from pennet.data.preparing.duplicates import fingerprint

    picture = read_rgb(io.BytesIO(content), key)
    height, width = picture.shape[:2]
    if min(height, width) < size_px:
        remedy = "leave it out, bring it larger, or prepare a smaller size"
        raise UserError(f"{key}: {width}x{height} px is smaller than {size_px} px; {remedy}")
    if height == width == size_px and (ending := _ending_of_plain_rgb(content)):
        kept = content
    else:
        picture = resize_square(picture, size_px, resample)
        ending, kept = "png", _png(picture)
    pixels = hashlib.sha256(np.ascontiguousarray(picture).data).digest()
    return Stored(ending, kept, width, height, hashlib.sha256(kept).digest(), fingerprint(picture), pixels)


def _ending_of_plain_rgb(content: bytes) -> str:
    """`jpg` or `png` where every decoder finds the pixels of `read_rgb` in the file; empty where one must know more."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            image = Image.open(io.BytesIO(content))
            turned = image.getexif().get(ExifTags.Base.Orientation, 1) != 1
        except Exception:  # it was read nonetheless, with more care than other decoders take
            return ""
    needs_more = turned or image.mode != "RGB" or "icc_profile" in image.info or "transparency" in image.info
    if image.format == "PNG":
        needs_more |= content[_PNG_DEPTH] != 8 or getattr(image, "is_animated", False)
    return "" if needs_more else _ENDINGS.get(image.format or "", "")


def _png(picture: Picture) -> bytes:
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "PNG", compress_level=_PNG_LEVEL)
    return file.getvalue()
