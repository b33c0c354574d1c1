"""Reads a photo with all that belongs to it."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from pennet.data.sources.search import shown
from pennet.errors import UserError
from pennet.photos import jpeg, plain, png, tiff
from pennet.photos.photo import Photo, Samples, turned
from pennet.photos.stored import Stored

FORMAT_OF_SUFFIX = {
    ".avif": "AVIF",
    ".bmp": "BMP",
    ".jfif": "JPEG",
    ".jpeg": "JPEG",
    ".jpg": "JPEG",
    ".png": "PNG",
    ".tif": "TIFF",
    ".tiff": "TIFF",
    ".webp": "WEBP",
}
"""Endings of the names of photos, in any case of letters."""
_READERS: dict[str, Callable[[bytes, str], Stored]] = {
    "PNG": png.read,
    "JPEG": jpeg.read,
    "TIFF": tiff.read,
    **{format: partial(plain.read, format=format) for format in ("WEBP", "AVIF", "BMP")},
}
_TIFF_HEADS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_AVIF_BRANDS = (b"avif", b"avis")
_HEIC_BRANDS = (b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis")


def read_photo(path: Path) -> Photo:
    """Reads a photo of any size and depth.

    What it is is told by its content, not by its name. Its numbers stay as they are, in its own colour space; only palettes
    and colours that are neither grey nor RGB are converted, with a word.

    Raises:
        UserError: not a photo, several frames or pages, broken; names the file.
    """
    with _naming(path):
        check_file(path)
        data = path.read_bytes()
        format = _format(data, path)
        stored = _READERS[format](data, shown(path))
        del data
        return _photo(path, stored, format)


def check_file(path: Path) -> None:
    """Refuses what is read once, such as a pipe: a photo and its mask are looked at again, and waiting for one has no end.

    Raises:
        UserError: a pipe, a socket or a device; names it.
    """
    if path.exists() and not path.is_file() and not path.is_dir():
        raise UserError(
            f"{shown(path)}: is a pipe or a device; photos and masks must be files: save it as one, and give that"
        )


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Makes one error of the user's, which names the file, of whatever decoders stumble over."""
    try:
        yield
    except (UserError, MemoryError):
        raise
    except Exception as error:  # on broken files decoders stumble in any way, not only as Pillow documents
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error) or type(error).__name__
        raise UserError(f"{shown(path)}: cannot be read as a photo ({reason}); repair it, or save it anew") from error


def _photo(path: Path, stored: Stored, format: str) -> Photo:
    """The right side up, in three bands and alpha."""
    samples, form, words = stored
    if (said := FORMAT_OF_SUFFIX.get(path.suffix.lower())) and said != format:
        words = [f"is a {format}, whatever its name says", *words]
    bands = form.bands
    samples = turned(samples, form.orientation)
    colours, alpha = samples[..., :bands], samples[..., bands] if samples.shape[2] > bands else None
    grey = bands == 1
    if bands == 3 and _is_grey(colours):
        grey = True
        words = [*words, "no pixel of it has a colour: the hole gets none either"]
    if alpha is not None and (clear := float((alpha == 0).mean())):
        words = [
            *words,
            f"{100 * clear:.1f} % of it is transparent: the colours that nobody sees there count as known beside the hole",
        ]
    pixels = np.ascontiguousarray(np.broadcast_to(colours, (*colours.shape[:2], 3)))
    return Photo(
        path=path,
        pixels=pixels,
        alpha=None if alpha is None else np.ascontiguousarray(alpha),
        words=tuple(dict.fromkeys(words)),
        form=replace(form, grey=grey),
    )


def _is_grey(colours: Samples) -> bool:
    for part in (colours[::16, ::16], colours):  # most photos are told by a few pixels
        if not ((part[..., 0] == part[..., 1]).all() and (part[..., 0] == part[..., 2]).all()):
            return False
    return True


def _format(data: bytes, path: Path) -> str:
    """The format of a file, by how it begins.

    Raises:
        UserError: not one that photos are read from, or of too many pixels.
    """
    if not data:
        raise UserError(f"{shown(path)}: empty; give a photo")
    if path.name.startswith("._"):
        own = shown(Path(path.name[2:]))
        raise UserError(f"{shown(path)}: what macOS notes beside {own}, no photo; give {own}")
    brands = (data[8:12], *(data[start : start + 4] for start in range(16, 64, 4))) if data[4:8] == b"ftyp" else ()
    if data.startswith(png.SIGNATURE):
        format = "PNG"
    elif data.startswith(b"\xff\xd8\xff"):
        format = "JPEG"
    elif data.startswith(_TIFF_HEADS):
        format = "TIFF"
    elif data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        format = "WEBP"
    elif data.startswith(b"BM"):
        format = "BMP"
    elif any(brand in brands for brand in _AVIF_BRANDS):
        format = "AVIF"
    elif any(brand in brands for brand in _HEIC_BRANDS):
        how = "save it as JPEG or PNG (phones can be told to take JPEGs)"
        raise UserError(f"{shown(path)}: HEIC, which is not read here; {how}")
    else:
        raise UserError(f"{shown(path)}: {_other(data)}; give a PNG, JPEG, TIFF, WebP, BMP or AVIF")
    return format


def _other(data: bytes) -> str:
    """What else it is, as far as Pillow knows."""
    try:
        with Image.open(io.BytesIO(data)) as image:
            frames = getattr(image, "n_frames", 1)
            return f"a {image.format}" + (f", animated, {frames} frames" if frames > 1 else "")
    except UnidentifiedImageError:
        return "of no known type"
