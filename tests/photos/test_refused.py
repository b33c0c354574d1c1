"""What is no single photo is refused by name, with one message."""

import io
import os
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from pennet.errors import UserError
from pennet.photos.photo import Photo
from pennet.photos.reading import read_photo
from pennet.photos.writing import write_photo
from tests.photos.samples import chunk, encoded, png

SAMPLES = np.random.default_rng(0).integers(0, 256, (12, 16, 3), dtype=np.uint8)


def frames(format: str) -> bytes:
    out = io.BytesIO()
    first, *others = (Image.fromarray(np.roll(SAMPLES, shift, axis=1)) for shift in range(3))
    first.save(out, format, save_all=True, append_images=others)
    return out.getvalue()


def refusal(content: bytes, name: str, tmp_path: Path) -> str:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(UserError) as caught:
        read_photo(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ") and "\n" not in message and len(message) - len(str(path)) < 200
    return message


@pytest.mark.parametrize(("format", "name"), [("GIF", "a.gif"), ("PNG", "a.png"), ("WEBP", "a.webp"), ("AVIF", "a.avif")])
def test_animated(format: str, name: str, tmp_path: Path) -> None:
    assert "animated, 3 frames" in refusal(frames(format), name, tmp_path)


def test_pages(tmp_path: Path) -> None:
    assert "3 pages" in refusal(frames("TIFF"), "scan.tif", tmp_path)


def test_a_chain_of_pages_that_never_ends(tmp_path: Path) -> None:
    out = io.BytesIO()
    tifffile.imwrite(out, SAMPLES, photometric="rgb", metadata=None)
    content = bytearray(out.getvalue())
    (first,) = struct.unpack_from("<I", content, 4)
    (count,) = struct.unpack_from("<H", content, first)
    struct.pack_into("<I", content, first + 2 + 12 * count, first)
    path = tmp_path / "loop.tif"
    path.write_bytes(content)
    assert np.array_equal(read_photo(path).pixels, SAMPLES)


@pytest.mark.parametrize("kind", ["int16", "int32", "uint32", "float32"])
def test_numbers_without_a_white(kind: str, tmp_path: Path) -> None:
    out = io.BytesIO()
    tifffile.imwrite(out, SAMPLES[..., 0].astype(kind), photometric="minisblack", metadata=None)
    assert "save it with 8 or 16 bits" in refusal(out.getvalue(), "photo.tif", tmp_path)


def test_camera_raw_and_heic(tmp_path: Path) -> None:
    out = io.BytesIO()
    tifffile.imwrite(out, SAMPLES, photometric="rgb", metadata=None, extratags=[(50706, 1, 4, bytes((1, 4, 0, 0)), False)])
    assert "raw file" in refusal(out.getvalue(), "photo.dng", tmp_path)
    heic = struct.pack(">I4s4sI4s4s", 24, b"ftyp", b"heic", 0, b"mif1", b"heic") + bytes(100)
    assert "HEIC" in refusal(heic, "IMG_0001.HEIC", tmp_path)


@pytest.mark.parametrize(
    ("name", "content", "word"),
    [
        ("empty.png", b"", "empty"),
        ("page.jpg", b"<!DOCTYPE html><html>", "of no known type"),
        ("._20.jpg", b"\0\5\x16\7" + bytes(50), "give 20.jpg"),
        ("photo.psd", b"8BPS\0\1" + bytes(6) + struct.pack(">HIIHH", 3, 4, 4, 8, 3) + bytes(62), "a PSD"),
    ],
)
def test_no_photo(name: str, content: bytes, word: str, tmp_path: Path) -> None:
    assert word in refusal(content, name, tmp_path)


def test_missing_and_folder(tmp_path: Path) -> None:
    for path, word in ((tmp_path / "none.png", "No such file"), (tmp_path, "Is a directory")):
        with pytest.raises(UserError, match=word):
            read_photo(path)


@pytest.mark.parametrize("format", ["PNG", "JPEG", "TIFF", "WEBP", "BMP", "AVIF"])
def test_broken_off_or_damaged(format: str, tmp_path: Path) -> None:
    """Wherever a file breaks off, there is one message or, where only metadata is missing, the photo."""
    content = encoded(SAMPLES, format)
    path = tmp_path / "photo"
    rng = np.random.default_rng(0)
    refused = 0
    for length in range(0, len(content) - 8, max(1, len(content) // 60)):
        damaged = bytearray(content)
        damaged[int(rng.integers(len(content)))] ^= 1 << int(rng.integers(8))
        for broken in (content[:length], bytes(damaged)):
            path.write_bytes(broken)
            try:
                photo = read_photo(path)
            except UserError as error:
                assert str(path) in str(error)
                refused += 1
            else:
                assert photo.pixels.ndim == 3
    assert refused > 30


def test_too_many_pixels(tmp_path: Path) -> None:
    head = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    content = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")
    assert "60000 x 60000 pixels" in refusal(content, "bomb.png", tmp_path)


def test_a_name_that_lies_is_told(tmp_path: Path) -> None:
    path = tmp_path / "photo.jpg"
    path.write_bytes(png(SAMPLES))
    photo = read_photo(path)
    assert photo.words == ("is a PNG, whatever its name says",) and np.array_equal(photo.pixels, SAMPLES)


def test_what_was_there_stays_where_writing_fails(tmp_path: Path) -> None:
    target = tmp_path / "filled.png"
    target.write_bytes(b"before")
    photo = Photo(Path("array"), SAMPLES)
    code = """
import resource, sys
from pathlib import Path
import numpy as np
from pennet.photos.photo import Photo
from pennet.photos.writing import write_photo
pixels = np.random.default_rng(0).integers(0, 256, (200, 200, 3), dtype=np.uint8)
import signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000))
try:
    write_photo(Path(sys.argv[1]), Photo(Path("array"), pixels), pixels)
except OSError as error:
    print(error)
"""
    result = subprocess.run(
        [sys.executable, "-c", code, str(target)], capture_output=True, text=True, timeout=60, env={**os.environ}
    )
    assert "filled.png" in result.stdout and result.stderr == ""
    assert target.read_bytes() == b"before" and [path.name for path in tmp_path.iterdir()] == ["filled.png"]
    write_photo(target, photo, photo.pixels)
    assert target.read_bytes() != b"before"
