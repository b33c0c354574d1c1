"""JPEG: written with the tables that it was written with, and with all segments that are not about its pixels.

Sources: ITU-T T.81 (segments); JFIF 1.02; EXIF 3.0; XMP, part 3; ICC.1, annex B.4.
"""

from __future__ import annotations

import io
import struct
import threading
from typing import Any

from PIL import ImageFile, JpegImagePlugin

from pennet.photos import traces
from pennet.photos.photo import Form, Samples
from pennet.photos.stored import OLD_PICTURES, Stored, check_size, image_of, metadata, samples_of

_EXIF, _XMP, _MORE_XMP = b"Exif\0\0", b"http://ns.adobe.com/xap/1.0/\0", b"http://ns.adobe.com/xmp/extension/\0"
_ICC, _PHOTOSHOP, _MORE_PICTURES, _PREVIEWS = b"ICC_PROFILE\0", b"Photoshop 3.0\0", b"MPF\0", b"FPXR\0"
_APP = tuple(range(0xE0, 0xF0))
_COMMENT, _SCAN, _HUFFMAN = 0xFE, 0xDA, 0xC4
_COLOURS = (0xE0, 0xEE)
"""Segments (JFIF, Adobe) that say what the samples mean."""
_CREDENTIALS = 0xEB
_LONGEST = 65533
_MOST_BYTES_OF_PIXEL = 8
_LARGER_BUFFER = threading.Lock()
"""Pillow has one number for all threads."""
_COMMON_HUFFMAN = bytes((0, 0, 1, 5, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0))
"""How the table of annex K begins, which is written where nobody asked for better ones."""
QUALITY = 95
"""Of photos that were no JPEG: hardly to be told from the original."""


def read(data: bytes, name: str) -> Stored:
    """Reads a JPEG.

    Raises:
        Exception: broken, in Pillow's words.
    """
    segments, scan = _segments(data)
    pixels = [each for each in segments if each[0] in _COLOURS or each[0] not in (*_APP, _COMMENT)]
    plain = b"\xff\xd8" + b"".join(_packed(*each) for each in pixels)
    image = JpegImagePlugin.JpegImageFile(io.BytesIO(plain + data[scan:]))
    check_size(image.size, name)
    image.load()
    exif, xmp, icc, photoshop = b"", b"", {}, b""
    parts, words, old = [], [], False
    for marker, content in segments:
        if marker not in (*_APP, _COMMENT) or marker == 0xEE:
            continue
        if content.startswith(_EXIF):
            exif = exif or content
        elif content.startswith(_XMP):
            xmp = xmp or content.removeprefix(_XMP)
        elif content.startswith(_ICC) and len(content) > len(_ICC) + 2:
            icc[content[len(_ICC)]] = content[len(_ICC) + 2 :]
        elif content.startswith(_PHOTOSHOP):
            photoshop += content.removeprefix(_PHOTOSHOP)
        elif content.startswith(_MORE_PICTURES):
            words.append("further pictures in it (previews, depths, brightness) are left out: they show the old picture")
        elif marker == _CREDENTIALS:
            words.append("its content credentials are left out: they are about the old picture")
        elif content.startswith((_MORE_XMP, _PREVIEWS, b"JFXX\0")) or traces.holds_jpeg(content):
            old = True
        else:
            parts.append((bytes((marker,)), content))
    profile = b"".join(icc[number] for number in sorted(icc))
    if profile:
        image.info["icc_profile"] = profile
    samples, converted, to_rgb = samples_of(image, name)
    kept = traces.photoshop_without_pictures(photoshop)
    found = metadata(exif, xmp)
    if (old or kept != photoshop) and OLD_PICTURES not in found.words:
        found.words.append(OLD_PICTURES)
    size = _LONGEST - len(_PHOTOSHOP)
    parts += [(b"\xed", _PHOTOSHOP + kept[start : start + size]) for start in range(0, len(kept), size)]
    if b"MotionPhoto" in xmp or b"MicroVideo" in xmp:
        words.append("the short film behind it is left out: it shows the old picture")
    form = Form(
        format="JPEG",
        bands=samples.shape[2],
        orientation=found.orientation,
        exif=found.exif,
        xmp=found.xmp,
        icc=b"" if to_rgb else profile,
        dpi=image.info.get("dpi"),
        parts=tuple(parts),
        settings=_settings(image, segments),
    )
    return Stored(samples, form, converted + words + found.words)


def write(samples: Samples, form: Form) -> tuple[bytes, list[str]]:
    """A JPEG of (H, W, C) uint8, C in 1, 3, with what a form knows."""
    words: list[str] = []
    settings: dict[str, Any] = {"quality": QUALITY, "subsampling": 0, "optimize": True}
    if form.format == "JPEG":
        settings = dict(form.settings)
        words += settings.pop("words", [])
    else:
        words.append(f"written as a JPEG of quality {QUALITY}: known pixels differ a little from the original's")
    settings |= {"dpi": form.dpi} if form.dpi else {}
    settings |= {"icc_profile": form.icc} if form.icc else {}
    for key, what, content in (("exif", "EXIF", _EXIF + form.exif), ("xmp", "XMP", _XMP + form.xmp)):
        if len(content) > _LONGEST:
            words.append(f"its {what} is longer than a JPEG holds, and left out")
        elif getattr(form, key):
            settings[key] = content if key == "exif" else form.xmp
    if samples.shape[2] == 1 and "qtables" in settings:
        settings["qtables"] = {0: settings["qtables"][0]}
    encoded = _encoded(samples, settings)
    if form.format != "JPEG":
        return encoded, words
    own = [(kind[0], content) for kind, content in form.parts]
    segments, scan = _segments(encoded)
    about = [each for each in segments if each[0] in _APP and each[0] != 0xE0]
    pixels = [each for each in segments if each[0] not in _APP]
    first = [each for each in own if each[0] == 0xE0]
    ordered = [*first, *about, *(each for each in own if each[0] != 0xE0), *pixels]
    return b"\xff\xd8" + b"".join(_packed(*each) for each in ordered) + encoded[scan:], words


def _encoded(samples: Samples, settings: dict[str, Any]) -> bytes:
    """By Pillow, which makes progressive and optimised files in a buffer that fine noise outgrows: then in a larger one."""
    image, out = image_of(samples), io.BytesIO()
    try:
        image.save(out, format="JPEG", **settings)
    except OSError:
        out = io.BytesIO()
        with _LARGER_BUFFER:
            usual = ImageFile.MAXBLOCK
            try:
                ImageFile.MAXBLOCK = _MOST_BYTES_OF_PIXEL * samples[..., 0].size
                image.save(out, format="JPEG", **settings)
            finally:
                ImageFile.MAXBLOCK = usual
    return out.getvalue()


def _segments(data: bytes) -> tuple[list[tuple[int, bytes]], int]:
    """Marker and content of all segments before the first scan, and where that begins."""
    segments, start = [], 2
    while start + 4 <= len(data) and data[start] == 0xFF and data[start + 1] != _SCAN:
        if data[start + 1] == 0xFF:  # filling
            start += 1
            continue
        (length,) = struct.unpack_from(">H", data, start + 2)
        segments.append((data[start + 1], data[start + 4 : start + 2 + length]))
        start += 2 + length
    return segments, start


def _packed(marker: int, content: bytes) -> bytes:
    return bytes((0xFF, marker)) + struct.pack(">H", len(content) + 2) + content


def _settings(image: JpegImagePlugin.JpegImageFile, segments: list[tuple[int, bytes]]) -> dict[str, Any]:
    """What Pillow has to be told to write as this one was written."""
    progressive = bool(image.info.get("progressive"))
    common = any(marker == _HUFFMAN and content.startswith(_COMMON_HUFFMAN) for marker, content in segments)
    tables = dict(enumerate(image.quantization.values()))
    settings: dict[str, Any] = {"qtables": tables, "progressive": progressive}
    settings["optimize"] = progressive or not common
    if image.layers == 3:
        sampling = JpegImagePlugin.get_sampling(image)
        settings["subsampling"] = max(sampling, 0)
        if sampling < 0:
            settings["words"] = ["its colours are neither 4:4:4, 4:2:2 nor 4:2:0, which are written: 4:4:4"]
        settings["keep_rgb"] = image.info.get("adobe_transform") == 0
    elif image.layers == 4:
        settings["subsampling"] = 0
    return settings
