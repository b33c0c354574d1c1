"""What a visitor brings: a photo within the limits, and a hole that was painted, or uploaded as a mask, or both."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pennet.errors import UserError
from pennet.images import Picture
from pennet.photos.holes import Hole, read_hole
from pennet.photos.photo import Photo, Pixels
from pennet.photos.reading import read_photo
from pennet.studio.limits import Limits

SHOWN_PX = 1280
"""Longest side of a picture that is sent to a browser; the file to download has the photo's own size."""


BOXES = {"--resize-mask": "“Resize to the photo’s size”", "--invert-mask": "“Invert”"}
"""What the options of `pennet inpaint` are called on the page."""
SHADE = np.array([240, 80, 140])
"""Holes are painted and shown in it: seldom a photo's own colour."""
OPACITY = 153
"""Of a mask that is shown: what lies below is seen."""
VEIL = 3
"""Opacity of the rest of such a layer, which nobody sees: where all of it is gone, the editor has not drawn the mask yet."""


class Job(NamedTuple):
    """What is to be filled; the photo stays in its file."""

    photo: Path
    mask: NDArray[np.uint8]
    """(H, W) in {0, 1}, 1 = hole."""


def read_upload(path: Path, limits: Limits) -> Photo:
    """Reads an uploaded photo.

    Raises:
        UserError: too large, gone, or no photo; names the file as the visitor knows it.
    """
    try:
        _check_size(path, limits)
        return read_photo(path)
    except (UserError, OSError) as error:
        raise UserError(str(error).replace(str(path), path.name)) from error


def read_job(
    photo: Path, editor: dict[str, Any] | None, mask: Path | None, invert: bool, resize: bool, limits: Limits
) -> Job:
    """Puts a visitor's photo and hole together.

    Args:
        photo: the uploaded file.
        editor: value of the editor, with Pillow pictures; what is not transparent in its layers was painted.
        mask: an uploaded mask, which the editor was given as a layer: what was painted is added to it, and what was erased
            there is not filled. Where the editor holds not even a veil, it has not yet drawn the mask.
        invert, resize: what `pennet.photos.holes.read_hole` is told of the mask.
        limits: of the photo.

    Raises:
        UserError: a photo that `read_upload` refuses, a mask that `read_hole` refuses, no hole, or nothing known.
    """
    height, width = read_upload(photo, limits).pixels.shape[:2]
    hole = painted(editor, height, width)
    if mask is not None:
        uploaded = read_mask(mask, height, width, invert, resize, limits).mask
        hole = _edited(uploaded, hole) if _drawn(editor) else uploaded
    if not hole.any():
        raise UserError("no hole: paint over what is to be filled, or upload a mask")
    if hole.all():
        raise UserError("the hole covers the whole photo: leave something that it can be filled from")
    return Job(photo, hole)


def read_mask(path: Path, height: int, width: int, invert: bool, resize: bool, limits: Limits) -> Hole:
    """Reads an uploaded mask for a photo of a size.

    Raises:
        UserError: too large or gone, as of a photo, or what `read_hole` refuses, in words of the page.
    """
    try:
        _check_size(path, limits)
        return read_hole(path, height, width, invert=invert, resize=resize)
    except (UserError, OSError) as error:
        message = str(error).replace(str(path), path.name)
        for option, box in BOXES.items():
            message = message.replace(option, box)
        raise UserError(message) from error


def painted(editor: dict[str, Any] | None, height: int, width: int) -> NDArray[np.uint8]:
    """What was painted in the editor, at the photo's size: (H, W) in {0, 1}."""
    hole = np.zeros((height, width), np.uint8)
    for alpha in _opacities(editor):
        hole |= np.array(alpha.resize((width, height), Image.Resampling.BILINEAR)) > VEIL
    return hole


def shown(pixels: Pixels) -> Picture:
    """A picture for a browser: 8 bits, at most `SHOWN_PX` wide and high; (H, W, 3) -> (H', W', 3) uint8."""
    eight_bits = (pixels >> 8 if pixels.dtype == np.uint16 else pixels).astype(np.uint8)
    picture = Image.fromarray(eight_bits)
    picture.thumbnail((SHOWN_PX, SHOWN_PX), Image.Resampling.BOX)
    return np.array(picture)


def shaded(pixels: Pixels, mask: NDArray[np.uint8]) -> Picture:
    """`shown`, with a hole (H, W) in {0, 1} in colour."""
    picture = shown(pixels)
    hole = Image.fromarray(mask * np.uint8(255)).resize(picture.shape[1::-1], Image.Resampling.NEAREST)
    return np.where(np.array(hole)[..., None] > 0, (0.4 * picture + 0.6 * SHADE).astype(np.uint8), picture)


def as_layer(mask: NDArray[np.uint8]) -> Picture:
    """A hole (H, W) in {0, 1} as if it had been painted in the editor: (H', W', 4) uint8, RGBA, of the size of `shown`."""
    hole = Image.fromarray(mask * np.uint8(255))
    hole.thumbnail((SHOWN_PX, SHOWN_PX), Image.Resampling.BOX)
    alpha = np.where(np.array(hole) > 0, np.uint8(OPACITY), np.uint8(VEIL))
    return np.dstack([np.broadcast_to(SHADE.astype(np.uint8), (*alpha.shape, 3)), alpha])


def _opacities(editor: dict[str, Any] | None) -> list[Image.Image]:
    return [layer.convert("RGBA").getchannel("A") for layer in (editor or {}).get("layers") or ()]


def _drawn(editor: dict[str, Any] | None) -> bool:
    return any(alpha.getbbox() for alpha in _opacities(editor))


def _edited(mask: NDArray[np.uint8], drawn: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """What is left of a mask where it was erased, with what was painted beside it: exact to the photo's pixel where the
    editor, which shows fewer, still shows the mask."""
    height, width = mask.shape
    untouched = painted({"layers": [Image.fromarray(as_layer(mask))]}, height, width)
    return drawn & (mask | (1 - untouched))


def _check_size(path: Path, limits: Limits) -> None:
    try:
        megabytes = path.stat().st_size / 2**20
    except FileNotFoundError as error:
        minutes = f"{limits.keep_minutes:g} minutes"
        raise UserError(f"{path.name}: uploads are deleted after {minutes}; please upload it again") from error
    if megabytes > limits.megabytes:
        raise UserError(f"{path.name}: {megabytes:.1f} MB; this page takes files of at most {limits.megabytes} MB")
    try:
        with Image.open(path) as header:  # reads no pixels yet
            width, height = header.size
    except Exception:  # whatever is wrong with the file, read_photo says it
        return
    if width * height > limits.megapixels * 1_000_000:
        size = f"{width} x {height} px are {width * height / 1e6:.1f} megapixels"
        raise UserError(f"{path.name}: {size}; this page takes photos of at most {limits.megapixels}")
