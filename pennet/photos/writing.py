"""Writes a filled photo as it was, but for the hole."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from pennet.atomic import replacing
from pennet.data.sources.search import shown
from pennet.errors import UserError
from pennet.photos import jpeg, plain, png, tiff, traces
from pennet.photos.photo import Form, Photo, Pixels, Samples, eight_bits, grey_of, turned_back
from pennet.photos.reading import FORMAT_OF_SUFFIX

_Writer = Callable[[Samples, Form], tuple[bytes, list[str]]]
_WRITERS: dict[str, _Writer] = {
    "PNG": png.write,
    "JPEG": jpeg.write,
    "TIFF": tiff.write,
    **{format: partial(plain.write, format=format) for format in ("WEBP", "AVIF", "BMP")},
}
_DEEP = ("PNG", "TIFF")
"""Formats of 16 bits."""
_WITH_GREY = ("PNG", "JPEG", "TIFF", "BMP", "AVIF")
_WITH_GREY_AND_ALPHA = ("PNG", "TIFF")
_LONGEST_SIDE = {"WEBP": 16383, "JPEG": 65500, "AVIF": 32768}
"""Pixels, where a format, its encoder or, of AVIF, its reader ends."""
_COLOUR_SPACE = slice(16, 20)
"""Where a profile says what numbers it is about (ICC.1, 7.2.6)."""
_WITHOUT_ALPHA = ("JPEG", "BMP")


def check_writable(path: Path, photo: Photo) -> None:
    """Whether a photo can be written under a name: to be asked before the hole is filled.

    Raises:
        UserError: the suffix names no format that photos are written in, or one without transparency, which the photo has,
            or of smaller pictures.
    """
    format = _format(path)
    height, width = photo.pixels.shape[:2]
    if max(height, width) > (longest := _LONGEST_SIDE.get(format, max(height, width))):
        what = f"{shown(photo.path)} has {width} x {height} px, and no side of a {format} is longer than {longest}"
        raise UserError(f"{shown(path)}: {what}; write a PNG or TIFF")
    if format in _WITHOUT_ALPHA and not _opaque(photo):
        what = f"{shown(photo.path)} has transparency, which {format} does not hold"
        raise UserError(f"{shown(path)}: {what}; write a PNG, TIFF or WebP")


def write_photo(path: Path, photo: Photo, filled: Pixels) -> tuple[str, ...]:
    """Writes, atomically, in the format of the name's suffix, the photo with `filled` in the place of its pixels.

    In the photo's own format the pixels lie as they lay (EXIF says which side is up), and everything that was with them is
    with them again. In another format they are the right side up, and what it can hold is kept.

    Returns:
        What the format could not keep, each a sentence.

    Raises:
        ValueError: `filled` is not of the photo's size and depth.
        UserError: as `check_writable`.
        OSError: the disk is full or not writable.
    """
    if filled.shape != photo.pixels.shape or filled.dtype != photo.pixels.dtype:
        wanted = f"{photo.pixels.shape} {photo.pixels.dtype}"
        raise ValueError(f"{path}: {filled.shape} {filled.dtype} is no filling of a photo of {wanted}")
    check_writable(path, photo)
    format, words = _format(path), []
    form = photo.form
    same = form.format == format
    transparent = photo.alpha is not None and format not in _WITHOUT_ALPHA
    samples: Samples = grey_of(filled)[..., None] if form.grey else filled
    if form.grey and (form.bands == 3 or format not in (_WITH_GREY_AND_ALPHA if transparent else _WITH_GREY)):
        samples = np.repeat(samples, 3, axis=2)
    one_band = samples.shape[2] == 1
    if transparent:
        samples = np.concatenate([samples, photo.alpha[..., None]], axis=2)  # type: ignore[index]
    if samples.dtype == np.uint16 and format not in _DEEP:
        samples = eight_bits(samples)
        words.append(f"{format} holds 8 bits: 16 became 8")
    if same:
        samples = turned_back(samples, form.orientation)
    else:
        form, lost = _for_another(form, one_band)
        words += lost
    content, more_words = _WRITERS[format](samples, form)
    with replacing(path) as temporary:
        temporary.write_bytes(content)
    return (*words, *more_words)


def _format(path: Path) -> str:
    format = FORMAT_OF_SUFFIX.get(path.suffix.lower())
    if format is None:
        raise UserError(f"{shown(path)}: no format that photos are written in; give a name that ends in {_endings()}")
    return format


def _endings() -> str:
    *first, last = sorted(FORMAT_OF_SUFFIX)
    return f"{', '.join(first)} or {last}"


def _for_another(form: Form, one_band: bool) -> tuple[Form, list[str]]:
    """What another format is given of a form, and what is lost."""
    icc = form.icc
    exif = tiff.exif_of(form) if form.format == "TIFF" else form.exif
    notes = {"JPEG": lambda kind: kind != b"\xe0", "PNG": lambda kind: kind in (b"tEXt", b"zTXt", b"iTXt")}
    lost = [kind for kind, _ in form.parts if notes[form.format](kind)]
    words = [f"comments and captions of the {form.format} are left out"] if lost else []
    if (icc[_COLOUR_SPACE] == b"GRAY") != one_band and icc:
        icc = b""
        words.append("its colour profile is left out: it is about grey, which is written as RGB, or the other way round")
    return replace(form, exif=traces.upright(exif) if form.orientation != 1 else exif, icc=icc), words


def _opaque(photo: Photo) -> bool:
    return photo.alpha is None or int(photo.alpha.min()) == np.iinfo(photo.alpha.dtype).max
