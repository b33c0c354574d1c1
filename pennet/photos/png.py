"""PNG: the chunks with the pixels are decoded and written anew, all others are carried over as bytes.

Source: Portable Network Graphics, third edition (W3C, 2025). Pillow holds no colours of 16 bits, but its decoder unpacks the
upper bytes of such samples, and, told that the lower byte comes first, the lower ones: together they are all of them.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator

import numpy as np
from PIL import PngImagePlugin

from pennet.errors import UserError
from pennet.photos.photo import Form, Samples
from pennet.photos.stored import Stored, check_size, image_of, metadata, samples_of

SIGNATURE = b"\x89PNG\r\n\x1a\n"
_PIXELS = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND")
_OF_MODE = (b"bKGD", b"sBIT", b"hIST")
"""Chunks whose length follows from the samples of a pixel."""
_CARRIED = (b"cHRM", b"gAMA", b"iCCP", b"sRGB", b"cICP", b"mDCV", b"cLLI", b"sPLT")
"""Chunks that are no longer right when pixels change, by their name; what they say of colours is."""
_XMP = b"XML:com.adobe.xmp\0"
_LONGEST = 1 << 26
"""Bytes that a compressed chunk may unpack to; ten times more than any profile has."""
_COLOUR_TYPE = {1: 0, 2: 4, 3: 2, 4: 6}
_BLOCK_ROWS = 64
_METRE = 0.0254
LEVEL = 6


def read(data: bytes, name: str) -> Stored:
    """Reads a PNG.

    Raises:
        UserError: animated; names the file and the number of frames.
        Exception: broken, in Pillow's words.
    """
    chunks = list(_chunks(data))
    frames = next((struct.unpack_from(">I", content)[0] for kind, content in chunks if kind == b"acTL"), 1)
    if frames > 1:
        raise UserError(f"{name}: animated, {frames} frames; save the one that you mean as a PNG of its own")
    plain = SIGNATURE + b"".join(_packed(kind, content) for kind, content in chunks if kind in _PIXELS)
    _, _, depth, colour_type, *_ = struct.unpack(">IIBBBBB", chunks[0][1])
    image = PngImagePlugin.PngImageFile(io.BytesIO(plain))
    check_size(image.size, name)
    words: list[str] = []
    if depth == 16:
        samples, words = _wide(plain, image, colour_type)
    else:
        image.load()
        samples, words, _ = samples_of(image, name)
    same_mode = depth >= 8 and colour_type != 3
    parts, exif, xmp, icc, dpi = [], b"", b"", b"", None
    for kind, content in chunks:
        if kind in _PIXELS or (kind in _OF_MODE and not same_mode) or kind in (b"acTL", b"fcTL", b"fdAT"):
            continue
        if kind == b"eXIf":
            exif = content
        elif kind == b"iTXt" and content.startswith(_XMP):
            xmp = _xmp(content)
        elif (raw := _raw_profile(kind, content)) is not None:
            exif = exif or raw
        elif kind in _CARRIED or kind in _OF_MODE or kind[3:].islower():
            parts.append((kind, content))
            if kind == b"iCCP":
                icc = _unpacked(content.partition(b"\0")[2][1:])
            elif kind == b"pHYs" and len(content) == 9 and content[8] == 1:
                horizontal, vertical = struct.unpack_from(">II", content)
                dpi = (horizontal * _METRE, vertical * _METRE)
    found = metadata(exif, xmp)
    form = Form(
        format="PNG",
        bands=samples.shape[2] - (samples.shape[2] + 1) % 2,
        orientation=found.orientation,
        exif=found.exif,
        xmp=found.xmp,
        icc=icc,
        dpi=dpi,
        parts=tuple(parts),
    )
    return Stored(samples, form, words + found.words)


def write(samples: Samples, form: Form) -> tuple[bytes, list[str]]:
    """A PNG of (H, W, C), with what a form knows."""
    if samples.dtype == np.uint16:
        height, width, bands = samples.shape
        pixels = [(b"IHDR", struct.pack(">IIBBBBB", width, height, 16, _COLOUR_TYPE[bands], 0, 0, 0)), *_compressed(samples)]
    else:
        encoded = io.BytesIO()
        image_of(samples).save(encoded, format="PNG", compress_level=LEVEL)
        pixels = [(kind, content) for kind, content in _chunks(encoded.getvalue()) if kind in (b"IHDR", b"IDAT")]
    parts = list(form.parts) if form.format == "PNG" else _parts(form)
    if form.exif:
        parts.append((b"eXIf", form.exif))
    if form.xmp:
        parts.append((b"iTXt", _XMP + b"\0\0\0\0" + form.xmp))
    chunks = [pixels[0], *parts, *pixels[1:], (b"IEND", b"")]
    return SIGNATURE + b"".join(_packed(kind, content) for kind, content in chunks), []


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Type and content, until the end or until the file breaks off; checksums are Pillow's to check."""
    start = len(SIGNATURE)
    while start + 8 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, start)
        yield kind, data[start + 8 : start + 8 + length]
        start += length + 12


def _packed(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(content, zlib.crc32(kind)))


def _parts(form: Form) -> list[tuple[bytes, bytes]]:
    """Profile and resolution of a photo that was no PNG."""
    parts = []
    if form.icc:
        parts.append((b"iCCP", b"ICC profile\0\0" + zlib.compress(form.icc)))
    if form.dpi:
        parts.append((b"pHYs", struct.pack(">IIB", *(round(dpi / _METRE) for dpi in form.dpi), 1)))
    return parts


def _raw_profile(kind: bytes, content: bytes) -> bytes | None:
    """How ImageMagick keeps EXIF in texts (a name, a length, hexadecimal digits); None if it is another chunk."""
    keyword, _, text = content.partition(b"\0")
    if kind not in (b"tEXt", b"zTXt") or keyword.lower() not in (b"raw profile type exif", b"raw profile type app1"):
        return None
    lines = (_unpacked(text[1:]) if kind == b"zTXt" else text).split(b"\n", 3)
    try:
        profile = bytes.fromhex(lines[3].decode("ascii"))
    except (IndexError, ValueError):
        return b""
    return profile if profile.startswith(b"Exif\0\0") else b""


def _xmp(content: bytes) -> bytes:
    """Of an international text: keyword, compressed or not, method, language, translated keyword, text."""
    compressed, rest = content[len(_XMP)], content[len(_XMP) + 2 :]
    text = rest.split(b"\0", 2)[-1]
    return _unpacked(text) if compressed else text


def _unpacked(content: bytes) -> bytes:
    """Nothing where it is broken, or so long that it may be a bomb."""
    unpacking = zlib.decompressobj()
    try:
        found = unpacking.decompress(content, _LONGEST)
    except zlib.error:
        return b""
    return found if unpacking.eof else b""


def _wide(png: bytes, image: PngImagePlugin.PngImageFile, colour_type: int) -> tuple[Samples, list[str]]:
    """(H, W, C) uint16, and words."""
    clear = image.info.get("transparency")
    if colour_type == 0:
        samples = np.array(image).astype(np.uint16)[..., None]
    elif colour_type == 4:  # both bytes of both samples, in four bands
        grey_alpha = np.ascontiguousarray(_bands(png, "RGBA"))
        samples = grey_alpha.view(">u2").astype(np.uint16)
    else:
        upper, lower = _bands(png, f"{image.mode};16B"), _bands(png, f"{image.mode};16L")
        samples = upper.astype(np.uint16) << np.uint16(8) | lower
    if clear is None or colour_type not in (0, 2):
        return samples, []
    opaque = (samples != np.array(clear, np.uint16)).any(axis=2, keepdims=True)
    return np.concatenate([samples, opaque * np.uint16(65535)], axis=2), ["its transparent colour became an alpha channel"]


def _bands(png: bytes, packing: str) -> Samples:
    """What Pillow unpacks when it is told how samples lie: (H, W, C) uint8."""
    image = PngImagePlugin.PngImageFile(io.BytesIO(png))
    image.tile = [tile._replace(args=packing) for tile in image.tile]
    image.load()
    return np.array(image)


def _compressed(samples: Samples) -> Iterator[tuple[bytes, bytes]]:
    """Chunks of filtered and deflated rows, (H, W, C) uint16."""
    height, width, bands = samples.shape
    deflate = zlib.compressobj(LEVEL)
    above = np.zeros(width * bands * 2, np.uint8)
    for start in range(0, height, _BLOCK_ROWS):
        rows = samples[start : start + _BLOCK_ROWS].astype(">u2").reshape(-1, width * bands).view(np.uint8)
        content = deflate.compress(_filtered(rows, above, bands * 2).tobytes())
        above = rows[-1]
        if content:
            yield b"IDAT", content
    yield b"IDAT", deflate.flush()


def _filtered(rows: Samples, above: Samples, step: int) -> Samples:
    """Each row as it is, less the pixel to the left, less the one above, or less Paeth's prediction, whichever is smallest.

    Args:
        rows: (N, bytes).
        above: (bytes,), the row before.
        step: bytes of a pixel.

    Returns:
        (N, 1 + bytes): the number of the filter before each row.
    """
    up = np.concatenate([above[None], rows[:-1]])
    left, corner = np.zeros_like(rows), np.zeros_like(rows)
    left[:, step:], corner[:, step:] = rows[:, :-step], up[:, :-step]
    a, b, c = (part.astype(np.int16) for part in (left, up, corner))
    to_left, to_up, to_corner = np.abs(b - c), np.abs(a - c), np.abs(a + b - 2 * c)
    paeth = np.where((to_left <= to_up) & (to_left <= to_corner), left, np.where(to_up <= to_corner, up, corner))
    numbers = (0, 1, 2, 4)
    tried = np.stack([rows, rows - left, rows - up, rows - paeth])
    cost = np.minimum(tried, 0 - tried).sum(axis=2, dtype=np.int64)
    best = cost.argmin(axis=0)
    out = np.empty((len(rows), rows.shape[1] + 1), np.uint8)
    out[:, 0] = np.take(numbers, best)
    out[:, 1:] = tried[best, np.arange(len(rows))]
    return out
