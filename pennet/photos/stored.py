"""What a file stores, before it is turned the right side up: the same for all formats."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from PIL import Image

from pennet.data.pictures.colour import to_srgb
from pennet.errors import UserError
from pennet.photos import traces
from pennet.photos.photo import Form, Samples

OLD_PICTURES = "small copies of the old picture in its metadata are left out: they show what is in the hole"
EXIF_BROKEN = "its EXIF is broken and left out"
MOST_PIXELS = 178_956_970
"""Where Pillow begins to see a bomb rather than a photo; nothing larger is decoded."""
_BANDS_OF_MODE = {"L": 1, "LA": 2, "RGB": 3, "RGBA": 4}
_CONVERTED = {
    "1": ("L", "black and white (1 bit) became grey (8 bits)"),
    "P": ("RGB", "its palette became RGB: a hole may need colours that the palette lacks"),
    "PA": ("RGBA", "its palette became RGB: a hole may need colours that the palette lacks"),
    "RGBX": ("RGB", "its fourth channel is not said to be transparency, and left out"),
    "RGBa": ("RGBA", "colours that were multiplied with their transparency were divided by it"),
    "La": ("LA", "levels that were multiplied with their transparency were divided by it"),
}


class Stored(NamedTuple):
    """What a format's module reads."""

    samples: Samples
    """(H, W, C), C in 1 (grey), 2 (grey, alpha), 3 (RGB), 4 (RGBA); as they are stored."""
    form: Form
    words: list[str]


class Metadata(NamedTuple):
    """EXIF and XMP without what shows the old picture."""

    exif: bytes
    xmp: bytes
    orientation: int
    words: list[str]


def check_size(size: tuple[int, int], name: str) -> None:
    """Refuses what is too large before it is decoded.

    Raises:
        UserError: names the file and its size, (width, height).
    """
    width, height = size
    if width * height > MOST_PIXELS:
        raise UserError(f"{name}: {width} x {height} pixels are more than {MOST_PIXELS:,}; cut it, or make it smaller")


def metadata(exif: bytes, xmp: bytes) -> Metadata:
    """Looks through EXIF (with or without its heading `Exif`) and XMP. Broken EXIF is dropped with a word."""
    words: list[str] = []
    orientation, plain, kept = 1, b"", traces.xmp_without_pictures(xmp)
    exif = exif.removeprefix(b"Exif\0\0")
    if exif:
        try:
            plain, orientation = traces.exif_without_pictures(exif), traces.orientation(exif)
        except (ValueError, ArithmeticError):
            words.append(EXIF_BROKEN)
    if (plain and plain != exif) or kept != xmp:
        words.append(OLD_PICTURES)
    return Metadata(plain, kept, orientation, words)


def samples_of(image: Image.Image, name: str) -> tuple[Samples, list[str], bool]:
    """The samples of a picture of 8 bits that Pillow has decoded.

    Returns:
        (H, W, C) uint8, what had to be converted, and whether colours were: its profile is of no use then.

    Raises:
        UserError: numbers of 32 bits.
    """
    words, to_rgb = [], False
    transparency = image.has_transparency_data
    if image.mode in ("I", "F") or image.mode.startswith("I;"):
        raise UserError(f"{name}: numbers of mode {image.mode} have no known white; save it with 8 or 16 bits")
    if image.mode in _CONVERTED:
        mode, word = _CONVERTED[image.mode]
        words.append(word)
        image = image.convert({"L": "LA", "RGB": "RGBA"}.get(mode, mode) if transparency else mode)
    elif image.mode not in _BANDS_OF_MODE:
        words.append(f"{image.mode} became RGB (sRGB)")
        image, to_rgb = to_srgb(image, name), True
    elif transparency and image.mode in ("L", "RGB"):
        words.append("its transparent colour became an alpha channel")
        image = image.convert(image.mode + "A")
    samples = np.array(image)
    return samples.reshape(*samples.shape[:2], -1), words, to_rgb


def image_of(samples: Samples) -> Image.Image:
    """(H, W, C) uint8 -> what Pillow writes."""
    bands = samples.shape[2]
    return Image.fromarray(np.ascontiguousarray(samples[..., 0] if bands == 1 else samples))
