"""Pictures as files: read completely and the right side up, or refused by name; written so that they repeat."""

from __future__ import annotations

import io
import logging
import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, UnidentifiedImageError

from pennet.atomic import replacing
from pennet.data.pictures.colour import to_srgb
from pennet.errors import UserError

logger = logging.getLogger(__name__)

Picture = NDArray[np.uint8]
"""(H, W, 3) uint8 RGB."""

SUFFIXES = (".avif", ".bmp", ".jfif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")
"""Endings of the file names that are taken for pictures, in any case of letters. Pillow reads them all (AVIF from 11.3 on);
what else it reads, such as PDF and the frames of a GIF, are no photos."""

_TURNED = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What brings a picture the right side up, by its EXIF orientation."""
_PNG_TEXT = (b"tEXt", b"zTXt", b"iTXt")
_PNG_PROFILE = (b"iCCP",)
_TOO_LONG = "MAX_TEXT"
"""In Pillow's words on what unpacks to more than it takes."""


def read_rgb(file: Path | BinaryIO, name: str = "") -> Picture:
    """Decodes a picture completely, as RGB in sRGB, whatever its mode and colour profile (`pennet.data.pictures.colour`).

    Args:
        file: a path, or an open binary file.
        name: what to call an open file in an error.

    A camera's note on which side is up is followed. 16-bit grey is scaled by 1/257 and rounded; of other pictures of 16 bits
    Pillow reads the upper 8, which is up to a level less. Of several frames or pages the first is read. Transparency that
    shows is refused, because what lies under it is anybody's guess.

    Raises:
        UserError: not a picture, truncated, too large, transparent, or of 32-bit numbers without a known white; names the
        file.
    """
    name = name or str(file)
    image = _decode(file, name, "picture")
    with _naming(name, "picture"):
        if image.mode.startswith("I;16"):
            profile = image.info.get("icc_profile")
            image = Image.fromarray(_eight_bits(_grey_16(image)))
            image.info["icc_profile"] = profile
        return np.array(to_srgb(image, name))


def read_mask(file: Path | BinaryIO, name: str = "") -> NDArray[np.uint8]:
    """Reads a mask, white (above 127 of 255) = hole: (H, W) uint8 in {0, 1}.

    Args:
        file: a path, or an open binary file.
        name: what to call an open file in an error.

    A picture with no other values than 0 and 1 is a mask as arrays hold it: 1 = hole.

    Raises:
        UserError: not a picture, truncated, too large, transparent, of 32-bit numbers, or with a brightest value that is
        neither 1 nor above mid-grey; names the file.
    """
    name = name or str(file)
    image = _decode(file, name, "mask")
    grey = _grey_16(image) if image.mode.startswith("I;16") else np.array(image.convert("L"))
    brightest, middle = int(grey.max()), np.iinfo(grey.dtype).max // 2
    if 1 < brightest <= middle:
        needed = f"holes must be white (above {middle}), or 1 where the rest is 0"
        raise UserError(f"{name}: brightest value {brightest}; {needed}")
    return (grey > (0 if brightest <= 1 else middle)).astype(np.uint8)


def size_px(file: Path | BinaryIO, name: str = "") -> tuple[int, int]:
    """Width and height of a picture as it is shown, without decoding it.

    Raises:
        UserError: not a picture, or too large; names the file.
    """
    name = name or str(file)
    with _naming(name, "picture"), _open(file, name, decode=False) as image:
        width, height = image.size
        return (height, width) if _orientation(image, name) in (5, 6, 7, 8) else (width, height)


def save_png(path: Path, picture: Picture) -> None:
    """Writes (H, W, 3) uint8 losslessly and atomically; the same pixels give the same bytes."""
    with replacing(path) as temporary:
        Image.fromarray(np.ascontiguousarray(picture)).save(temporary, format="PNG", compress_level=6)


def _decode(file: Path | BinaryIO, name: str, what: str) -> Image.Image:
    """The whole picture, the right side up, opaque and of a known depth."""
    with _naming(name, what), _open(file, name, decode=True) as image:
        turned = _TURNED.get(_orientation(image, name))
        image = image if turned is None else image.transpose(turned)
        clear = image.has_transparency_data and (image.mode.startswith("I;16") or _least_alpha(image) < 255)
    if clear:
        raise UserError(f"{name}: has transparency; flatten it onto a background first")
    if image.mode in ("I", "F"):  # Pillow would clip them at 255
        raise UserError(f"{name}: 32-bit numbers (mode {image.mode}) have no known white; save it with 8 or 16 bits")
    return image


@contextmanager
def _naming(name: str, what: str) -> Iterator[None]:
    """Puts the file's name to what Pillow says of it: warnings are logged, any error is one of the user's.

    Raises:
        UserError: the file is broken, no picture, or of more pixels than Pillow trusts (about 179 million).
    """
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            yield
        except Exception as error:  # on broken files decoders stumble in any way, not only as Pillow documents
            raise UserError(f"{name}: cannot be read as a {what} ({_reason(error)}); repair or remove it") from error
    for message in dict.fromkeys(str(warning.message) for warning in caught):
        logger.warning("%s: %s", name, message)


def _least_alpha(image: Image.Image) -> int:
    alpha = image.getchannel("A") if "A" in image.getbands() else image.convert("RGBA").getchannel("A")
    least, _ = alpha.getextrema()
    assert isinstance(least, int)
    return least


def _reason(error: Exception) -> str:
    if isinstance(error, UnidentifiedImageError):  # its own words name an object in memory
        return "of no known type"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or type(error).__name__


def _open(file: Path | BinaryIO, name: str, decode: bool) -> Image.Image:
    """Opens a picture; a PNG that Pillow refuses for its long texts without them: they may be a bomb, and are not needed.

    A colour profile that is as long is left out, too, with a word.
    """
    for dropped in ((), _PNG_TEXT):
        try:
            return _opened(_without(dropped, file) if dropped else file, decode)
        except ValueError as error:
            if _TOO_LONG not in str(error):
                raise
    image = _opened(_without(_PNG_TEXT + _PNG_PROFILE, file), decode)
    logger.warning("%s: its colour profile is too long and passed over", name)
    return image


def _opened(file: Path | BinaryIO, decode: bool) -> Image.Image:
    image = Image.open(file)
    if decode:
        image.load()
    return image


def _without(kinds: tuple[bytes, ...], file: Path | BinaryIO) -> BinaryIO:
    """A PNG (chunks of length, type, content, checksum) without the chunks of some types."""
    png = file.read_bytes() if isinstance(file, Path) else (file.seek(0), file.read())[1]
    kept, start = [png[:8]], 8
    while start + 8 <= len(png):
        length, kind = struct.unpack_from(">I4s", png, start)
        if kind not in kinds:
            kept.append(png[start : start + length + 12])
        start += length + 12
    return io.BytesIO(b"".join(kept))


def _orientation(image: Image.Image, name: str) -> Any:
    """The camera's note on which side is up; the rest of EXIF is not read."""
    try:
        return image.getexif().get(ExifTags.Base.Orientation)
    except Exception as error:  # a malformed block makes Pillow stumble in any way
        logger.warning("%s: its EXIF is malformed and left out (%s)", name, error)
        return None


def _grey_16(image: Image.Image) -> NDArray[np.uint16]:
    """(H, W), 0 to 65535, whichever byte the file has first."""
    return np.array(image).astype(np.uint16)


def _eight_bits(grey: NDArray[np.uint16]) -> NDArray[np.uint8]:
    """0 to 65535 -> 0 to 255, rounded: 65535 = 257 * 255."""
    return ((grey.astype(np.uint32) + 128) // 257).astype(np.uint8)
