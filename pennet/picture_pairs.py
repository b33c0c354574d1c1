"""Pictures and masks as others send them, checked: arrays, nested lists, or files as bytes or base64.

Nothing is guessed: floats are refused rather than rounded to a black picture, and a file is measured before it is decoded.
"""

from __future__ import annotations

import base64
import binascii
import io
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pennet.data.pictures.picture_files import Picture, read_mask, read_rgb, size_px
from pennet.errors import UserError

File = bytes | str
"""A picture as a file: its bytes, or these in base64 (also as a `data:` URL)."""
_KINDS = {
    "AVIF": (4, b"ftypavif"),
    "BMP": (0, b"BM"),
    "JPEG": (0, b"\xff\xd8\xff"),
    "PNG": (0, b"\x89PNG\r\n\x1a\n"),
    "TIFF": (0, b"II*\0"),
    "TIFF ": (0, b"MM\0*"),
    "WebP": (8, b"WEBP"),
}
"""Where a file says its kind, and in which bytes. What else Pillow reads, such as EPS, runs programs."""
KINDS = tuple(dict.fromkeys(kind.strip() for kind in _KINDS))


class TooLargeError(UserError):
    """More pixels than are taken."""


class UnknownKindError(UserError):
    """A file of no kind that is read."""


class Pair(NamedTuple):
    """What `pennet.inference.inpaint` takes."""

    image: Picture
    mask: NDArray[np.uint8]
    """(H, W) uint8 in {0, 1}, 1 = hole; neither empty nor everything."""


def check_pairs(images: Sequence[Any], masks: Sequence[Any], max_pixels: int | None = None) -> list[Pair]:
    """Pictures with their masks, each of any size.

    Args:
        images: each whole numbers (H, W, 3) from 0 to 255, RGB, or a file.
        masks: one for each image, of its size: whole numbers (H, W), 1 (or 255) = hole, 0 = known, or a boolean array, or a
            file with white holes.
        max_pixels: of one picture; None takes all that Pillow takes.

    Raises:
        TooLargeError: a picture has more pixels; found out before it is decoded.
        UnknownKindError: a file of none of `KINDS`.
        UserError: other numbers or shapes, an unreadable file, no hole or nothing but hole; names the picture by its place.
    """
    if len(images) != len(masks):
        raise UserError(f"image holds {len(images)} pictures and mask {len(masks)}; give one mask for each picture")
    if len(images) == 0:
        raise UserError("image holds no picture; give at least one, as uint8 (N, H, W, 3) or as files")
    return [
        _pair(image, mask, str(place), max_pixels) for place, (image, mask) in enumerate(zip(images, masks, strict=True))
    ]


def is_file(value: object) -> bool:
    return isinstance(value, File)


def answer_like(asked: Any, picture: Picture) -> Picture | File:
    """A picture in the form that another came in: an array, a PNG file, or that in base64."""
    if not is_file(asked):
        return picture
    return base64.b64encode(png(picture)).decode() if isinstance(asked, str) else png(picture)


def png(picture: Picture) -> bytes:
    """A picture as a PNG file, lossless."""
    file = io.BytesIO()
    Image.fromarray(picture).save(file, format="PNG", compress_level=1)  # larger levels take longer than the filling
    return file.getvalue()


def _pair(image: Any, mask: Any, place: str, max_pixels: int | None) -> Pair:
    image_name, mask_name = f"image[{place}]", f"mask[{place}]"
    if is_file(image):
        picture = read_rgb(_measured(image, image_name, max_pixels), image_name)
    else:
        picture = _whole_numbers(image, image_name, "uint8 (H, W, 3) from 0 to 255, RGB")
        if picture.ndim != 3 or picture.shape[2] != 3 or picture.size == 0:
            raise UserError(f"{image_name}: expected uint8 (H, W, 3) from 0 to 255, RGB, got shape {picture.shape}")
        _check_pixels(picture.shape[1], picture.shape[0], image_name, max_pixels)
    hole = read_mask(_measured(mask, mask_name, max_pixels), mask_name) if is_file(mask) else _hole(mask, mask_name)
    height, width = picture.shape[:2]
    if hole.shape != (height, width):
        got = f"{hole.shape[1]}x{hole.shape[0]} px" if hole.ndim == 2 else f"shape {hole.shape}"
        raise UserError(f"{mask_name}: expected {width}x{height} px like its image, got {got}")
    if not hole.any():
        raise UserError(f"{mask_name}: no hole; 1 (in a file white) marks what is to be filled")
    if hole.all():
        raise UserError(f"{mask_name}: no pixel is known, there is nothing to inpaint from")
    return Pair(picture, hole)


def _hole(mask: Any, name: str) -> NDArray[np.uint8]:
    expected = "(H, W) of 0 and 1 (or 0 and 255), 1 = hole"
    is_boolean = isinstance(mask, np.ndarray) and mask.dtype == np.bool_
    hole = mask.astype(np.uint8) if is_boolean else _whole_numbers(mask, name, expected)
    values = set(np.unique(hole).tolist())
    if not (values <= {0, 1} or values <= {0, 255}):
        raise UserError(f"{name}: expected {expected}, got {sorted(values)[:5]}")
    return (hole > 0).astype(np.uint8)


def _whole_numbers(values: Any, name: str, expected: str) -> NDArray[np.uint8]:
    """An array of bytes, from numbers that are bytes already in all but their type."""
    try:
        array = np.asarray(values)
        if array.dtype == np.object_:  # what MLflow makes of JSON
            array = np.array(array.tolist())
    except ValueError as error:  # rows of different lengths
        raise UserError(f"{name}: expected {expected}, got rows of different lengths") from error
    if array.dtype == np.uint8:
        return array
    if array.size == 0:
        raise UserError(f"{name}: expected {expected}, got nothing")
    if array.dtype.kind not in "iu":
        fractions = array.dtype.kind == "f"
        remedy = "; make of 0.0 to 1.0 whole numbers first: (255 * x).round().astype('uint8')" if fractions else ""
        got = f"{array.dtype} from {array.min():.6g} to {array.max():.6g}" if fractions else _described(array)
        raise UserError(f"{name}: expected {expected}, got {got}{remedy}")
    if array.min() < 0 or array.max() > 255:
        raise UserError(f"{name}: expected {expected}, got numbers from {array.min()} to {array.max()}")
    return array.astype(np.uint8)


def _described(array: NDArray[Any]) -> str:
    return {"b": "booleans", "O": "what is no array of numbers"}.get(array.dtype.kind, f"{array.dtype}")


def _measured(file: File, name: str, max_pixels: int | None) -> io.BytesIO:
    """The file's bytes, once its kind and its size are known to be taken."""
    content = _from_base64(file, name) if isinstance(file, str) else file
    if not any(content.startswith(magic, offset) for offset, magic in _KINDS.values()):
        raise UnknownKindError(f"{name}: no picture that is read here; send one of {', '.join(KINDS)}")
    opened = io.BytesIO(content)
    try:
        width, height = size_px(opened, name)
    except UserError as error:
        if isinstance(error.__cause__, Image.DecompressionBombError):
            raise TooLargeError(f"{name}: {error.__cause__}") from error
        raise
    _check_pixels(width, height, name, max_pixels)
    opened.seek(0)
    return opened


def _check_pixels(width: int, height: int, name: str, max_pixels: int | None) -> None:
    if max_pixels is not None and width * height > max_pixels:
        raise TooLargeError(f"{name}: {width}x{height} are {width * height} pixels, and at most {max_pixels} are taken")


def _from_base64(text: str, name: str) -> bytes:
    if text.startswith("data:"):
        text = text.partition(",")[2]
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise UserError(f"{name}: a text, but no base64 of a file ({error})") from error
