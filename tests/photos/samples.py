"""Photos in bytes, made without what is tested."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np
from PIL import Image

COLOUR_TYPE = {1: 0, 2: 4, 3: 2, 4: 6}


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def chunks(png: bytes) -> Iterator[tuple[bytes, bytes]]:
    start = 8
    while start < len(png):
        length, kind = struct.unpack_from(">I4s", png, start)
        content = png[start + 8 : start + 8 + length]
        assert struct.unpack_from(">I", png, start + 8 + length)[0] == zlib.crc32(kind + content)
        yield kind, content
        start += 12 + length


def png(samples: np.ndarray, *more: bytes) -> bytes:
    """(H, W, C) of 8 or 16 bits, unfiltered, with more chunks before the pixels."""
    height, width, bands = samples.shape
    depth = samples.dtype.itemsize * 8
    rows = samples.astype(f">u{depth // 8}").reshape(height, -1).view(np.uint8)
    content = zlib.compress(np.insert(rows, 0, 0, axis=1).tobytes())
    head = struct.pack(">IIBBBBB", width, height, depth, COLOUR_TYPE[bands], 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + b"".join(more) + chunk(b"IDAT", content) + chunk(b"IEND", b"")


def unpacked_png(data: bytes) -> np.ndarray:
    """(H, W, C) of a PNG, unfiltered byte by byte as the specification says."""
    found = list(chunks(data))
    width, height, depth, colour_type, *_ = struct.unpack(">IIBBBBB", found[0][1])
    bands = {value: key for key, value in COLOUR_TYPE.items()}[colour_type]
    step = bands * depth // 8
    raw = zlib.decompress(b"".join(content for kind, content in found if kind == b"IDAT"))
    size = width * step
    above, rows = bytearray(size), []
    for start in range(0, len(raw), size + 1):
        kind, row = raw[start], bytearray(raw[start + 1 : start + 1 + size])
        for at in range(size):
            a, b = row[at - step] if at >= step else 0, above[at]
            c = above[at - step] if at >= step else 0
            nearest = min((abs(b - c), 0, a), (abs(a - c), 1, b), (abs(a + b - 2 * c), 2, c))[2]
            row[at] = (row[at] + (0, a, b, (a + b) // 2, nearest)[kind]) % 256
        rows.append(bytes(row))
        above = row
    return np.frombuffer(b"".join(rows), f">u{depth // 8}").reshape(height, width, bands)


def segments(jpeg: bytes) -> list[tuple[int, bytes]]:
    found, start = [], 2
    while jpeg[start + 1] != 0xDA:
        (length,) = struct.unpack_from(">H", jpeg, start + 2)
        found.append((jpeg[start + 1], jpeg[start + 4 : start + 2 + length]))
        start += 2 + length
    return found


def with_segments(jpeg: bytes, *more: tuple[int, bytes]) -> bytes:
    packed = b"".join(bytes((0xFF, kind)) + struct.pack(">H", len(content) + 2) + content for kind, content in more)
    return jpeg[:2] + packed + jpeg[2:]


def encoded(samples: np.ndarray, format: str, **settings: Any) -> bytes:
    out = io.BytesIO()
    Image.fromarray(samples[..., 0] if samples.ndim == 3 and samples.shape[2] == 1 else samples).save(
        out, format, **settings
    )
    return out.getvalue()


def exif(orientation: int = 6, thumbnail: bytes = b"", order: str = "<", note: bytes = b"") -> bytes:
    """A camera's: orientation, a malformed rational, a maker's note; and, in a second directory, a thumbnail."""
    record = f"{order}HHI4s"
    short = struct.pack(f"{order}HH", orientation, 0)
    long = f"{order}I"
    begin = 8 + 2 + 4 * 12 + 4
    second = begin + 8 + 8 + len(note)
    entries = [
        struct.pack(record, 0x0112, 3, 1, short),
        struct.pack(record, 0x011A, 10, 1, struct.pack(long, begin)),  # a resolution with a sign
        struct.pack(record, 0x011B, 1, 3, b"ab\0\0"),  # a resolution in bytes
        struct.pack(record, 0x927C, 7, 8 + len(note), struct.pack(long, begin + 8)),
    ]
    body = struct.pack(f"{order}H", 4) + b"".join(entries) + struct.pack(long, second if thumbnail else 0)
    body += struct.pack(f"{order}ii", -1, 0) + b"MAKER\0\0\1" + note
    if thumbnail:
        places = [
            struct.pack(record, 0x0201, 4, 1, struct.pack(long, second + 2 + 2 * 12 + 4)),
            struct.pack(record, 0x0202, 4, 1, struct.pack(long, len(thumbnail))),
        ]
        body += struct.pack(f"{order}H", 2) + b"".join(places) + struct.pack(long, 0) + thumbnail
    return (b"II" if order == "<" else b"MM") + struct.pack(f"{order}HI", 42, 8) + body
