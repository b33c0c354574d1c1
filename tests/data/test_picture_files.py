import io
import logging
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageOps

from pennet.data.pictures.picture_files import SUFFIXES, read_mask, read_rgb, save_png, size_px
from pennet.errors import UserError


def test_read_rgb_makes_grey_and_palette_pictures_rgb(tmp_path: Path) -> None:
    Image.fromarray(np.full((4, 4), 77, np.uint8)).save(tmp_path / "grey.png")
    assert (read_rgb(tmp_path / "grey.png") == 77).all()


def test_read_rgb_refuses_transparency_by_name(tmp_path: Path) -> None:
    Image.new("RGBA", (4, 4)).save(tmp_path / "clear.png")
    with pytest.raises(ValueError, match=r"clear\.png: has transparency"):
        read_rgb(tmp_path / "clear.png")


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_read_rgb_accepts_transparency_that_is_not_used(tmp_path: Path, mode: str) -> None:
    picture = Image.new(mode, (4, 4), (9, 255) if mode == "LA" else (9, 9, 9, 255))
    picture.save(tmp_path / "opaque.png")
    assert (read_rgb(tmp_path / "opaque.png") == 9).all()
    picture.putpixel((1, 2), (9, 254) if mode == "LA" else (9, 9, 9, 254))
    picture.save(tmp_path / "clear.png")
    with pytest.raises(ValueError, match=r"clear\.png: has transparency"):
        read_rgb(tmp_path / "clear.png")


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_read_rgb_scales_16_bit_grey(tmp_path: Path, suffix: str) -> None:
    """Each of the 256 bytes b is 257 b; in between it rounds."""
    values = np.array([[0, 128, 129, 257], [32768, 65535 - 129, 65535 - 128, 65535]], np.uint16)
    path = tmp_path / f"deep.{suffix}"
    Image.fromarray(values).save(path)
    assert read_rgb(path)[..., 0].tolist() == [[0, 0, 1, 1], [128, 254, 255, 255]]
    assert read_rgb(path).shape == (2, 4, 3)
    Image.fromarray(257 * np.arange(256, dtype=np.uint16).reshape(16, 16)).save(path)
    assert read_rgb(path)[..., 2].tolist() == np.arange(256).reshape(16, 16).tolist()


@pytest.mark.parametrize("dtype", [np.int32, np.float32])
@pytest.mark.parametrize("read", [read_rgb, read_mask])
def test_pictures_without_a_known_white_are_refused(tmp_path: Path, dtype: type, read: Callable[[Path], np.ndarray]) -> None:
    Image.fromarray(np.full((4, 4), 300, dtype)).save(tmp_path / "numbers.tif")
    with pytest.raises(ValueError, match=r"numbers\.tif: 32-bit numbers \(mode [IF]\) have no known white"):
        read(tmp_path / "numbers.tif")


@pytest.mark.parametrize(("dtype", "middle"), [(np.uint8, 127), (np.uint16, 32767)])
def test_read_mask_takes_white_for_hole_or_one_for_hole(tmp_path: Path, dtype: type, middle: int) -> None:
    path, white = tmp_path / "mask.png", np.iinfo(dtype).max

    def read(*values: int) -> list[int]:
        Image.fromarray(np.array([values], dtype)).save(path)
        return [int(value) for value in read_mask(path)[0]]

    assert read(0, middle, middle + 1, white) == [0, 0, 1, 1]
    assert read(0, 1, 1, 0) == [0, 1, 1, 0]
    assert read(0, 0) == [0, 0]
    for brightest in (2, middle):
        with pytest.raises(ValueError, match=rf"mask\.png: brightest value {brightest}; holes must be white"):
            read(0, 1, brightest)


def test_read_mask_refuses_transparency(tmp_path: Path) -> None:
    Image.new("LA", (4, 4)).save(tmp_path / "clear.png")
    with pytest.raises(ValueError, match=r"clear\.png: has transparency"):
        read_mask(tmp_path / "clear.png")


@pytest.mark.parametrize("kept", [0, 10, 200])
def test_read_rgb_refuses_a_truncated_picture_by_name(tmp_path: Path, kept: int) -> None:
    path = tmp_path / "broken.jpg"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)).save(path)
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(ValueError, match=r"broken\.jpg: cannot be read as a picture"):
        read_rgb(path)


@pytest.mark.parametrize("read", [read_rgb, read_mask, size_px])
def test_picture_of_too_many_pixels_is_refused_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, read: Callable[[Path], Any]
) -> None:
    Image.new("L", (30, 30)).save(tmp_path / "bomb.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 400)  # Pillow refuses more than twice as many
    with pytest.raises(UserError, match=r"bomb\.png: cannot be read as a (picture|mask) \(.*decompression bomb"):
        read(tmp_path / "bomb.png")


def test_png_is_lossless_and_repeatable(tmp_path: Path) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    for name in ("a.png", "b.png"):
        save_png(tmp_path / name, picture)
    assert np.array_equal(read_rgb(tmp_path / "a.png"), picture)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_every_suffix_is_read(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"flat{suffix}"
    Image.new("RGB", (32, 24), (200, 100, 50)).save(path)
    assert size_px(path) == (32, 24)
    assert np.abs(read_rgb(path).astype(int) - [200, 100, 50]).max() <= 3  # some are lossy


def exif_block(*entries: tuple[int, int, int, bytes], data: bytes = b"") -> bytes:
    """A little-endian TIFF directory: entries of (tag, type, count, 4 bytes), then what offsets point to."""
    rows = b"".join(struct.pack("<HHI", *entry[:3]) + entry[3] for entry in entries)
    return b"Exif\0\0II*\0" + struct.pack("<IH", 8, len(entries)) + rows + bytes(4) + data


ON_ITS_SIDE = (0x0112, 3, 1, struct.pack("<HH", 6, 0))
MALFORMED = {
    "signed rational of (-1, 0)": exif_block(
        ON_ITS_SIDE, (0x9204, 10, 1, struct.pack("<I", 38)), data=struct.pack("<ii", -1, 0)
    ),
    "resolution stored as bytes": exif_block(ON_ITS_SIDE, (0x011A, 7, 4, b"abcd")),
    "resolution stored as text": exif_block(ON_ITS_SIDE, (0x011A, 2, 4, b"72\0\0")),
    "value outside of the block": exif_block(ON_ITS_SIDE, (0x011A, 5, 1, struct.pack("<I", 10**6))),
}


@pytest.mark.parametrize("exif", MALFORMED.values(), ids=MALFORMED)
@pytest.mark.parametrize("suffix", ["jpg", "png", "webp"])
def test_orientation_is_followed_whatever_else_exif_holds(tmp_path: Path, exif: bytes, suffix: str) -> None:
    path, image = tmp_path / f"camera.{suffix}", Image.new("RGB", (16, 8), (255, 255, 255))
    image.paste((0, 0, 0), (0, 0, 8, 8))
    image.save(path, exif=exif, **({"lossless": True} if suffix == "webp" else {}))
    assert size_px(path) == (8, 16)
    shown = read_rgb(path)
    assert shown.shape == (16, 8, 3)
    assert shown[:8].max() == 0  # what was left is up
    assert shown[8:].min() == 255


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("mode", ["RGB", "L", "P", "I;16"])
def test_orientation_against_pillow(tmp_path: Path, orientation: int, mode: str) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (6, 9, 3), dtype=np.uint8)
    image = (
        Image.fromarray(257 * pixels[..., 0].astype(np.uint16)) if mode == "I;16" else Image.fromarray(pixels).convert(mode)
    )
    exif = Image.Exif()
    exif[0x0112] = orientation
    image.save(tmp_path / "turned.png", exif=exif)
    with Image.open(tmp_path / "turned.png") as opened:
        expected = np.array(ImageOps.exif_transpose(opened))
        rgb = (
            np.array(ImageOps.exif_transpose(opened).convert("RGB"))
            if mode != "I;16"
            else expected[..., None].repeat(3, -1) // 257
        )
    assert np.array_equal(read_rgb(tmp_path / "turned.png"), rgb)
    assert size_px(tmp_path / "turned.png") == (rgb.shape[1], rgb.shape[0])


@pytest.mark.parametrize("suffix", ["png", "webp"])
def test_exif_that_cannot_be_read_is_left_out_with_a_word(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, suffix: str
) -> None:
    path = tmp_path / f"odd.{suffix}"
    Image.new("RGB", (16, 8), (9, 9, 9)).save(path, exif=b"Exif\0\0no directory at all")
    with caplog.at_level(logging.WARNING):
        assert read_rgb(path).shape == (8, 16, 3)
    assert [record.getMessage().partition(" (")[0] for record in caplog.records] == [
        f"{path}: its EXIF is malformed and left out"
    ]


def test_what_pillow_warns_of_is_logged_with_the_file(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    Image.new("RGB", (16, 8)).save(tmp_path / "cut.jpg", exif=MALFORMED["resolution stored as bytes"][:24])
    with caplog.at_level(logging.WARNING):
        read_rgb(tmp_path / "cut.jpg")
    assert [record.getMessage().partition(".  ")[0] for record in caplog.records] == [
        f"{tmp_path / 'cut.jpg'}: Corrupt EXIF data"
    ]


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


@pytest.mark.parametrize("place", ["before the pixels", "after the pixels"])
@pytest.mark.parametrize("kind", [b"zTXt", b"iTXt"])
@pytest.mark.parametrize("opened", [False, True])
def test_png_with_a_long_text_is_read(tmp_path: Path, place: str, kind: bytes, opened: bool) -> None:
    """3 MiB of text in 3 kB, as image generators and editors leave it; Pillow alone refuses the file."""
    picture = np.random.default_rng(0).integers(0, 256, (16, 24, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(picture).save(buffer, "PNG", exif=exif)
    text = chunk(kind, b"note\0" + (b"\0" if kind == b"zTXt" else b"\1\0\0\0") + zlib.compress(b"x" * (3 << 20)))
    whole = buffer.getvalue()
    at = whole.index(b"IDAT" if place.startswith("before") else b"IEND") - 4
    path = tmp_path / "wordy.png"
    path.write_bytes(whole[:at] + text + whole[at:])
    with pytest.raises(ValueError, match="MAX_TEXT"), Image.open(path) as image:
        image.load()
    assert np.array_equal(read_rgb(io.BytesIO(path.read_bytes()) if opened else path), np.rot90(picture, -1))
    assert size_px(path) == (16, 24)


@pytest.mark.parametrize("format_name", ["PNG", "JPEG", "TIFF", "WEBP", "BMP", "AVIF"])
def test_damaged_picture_is_read_or_refused_by_name(tmp_path: Path, format_name: str) -> None:
    """Whatever a decoder stumbles over, there is no traceback."""
    generator = np.random.default_rng(0)
    buffer = io.BytesIO()
    Image.fromarray(generator.integers(0, 256, (16, 16, 3), dtype=np.uint8)).save(
        buffer, format_name, exif=MALFORMED["value outside of the block"] if format_name in ("PNG", "JPEG") else b""
    )
    path, refused = tmp_path / "damaged", 0
    for _ in range(150):
        content = bytearray(buffer.getvalue())
        for place in generator.integers(0, min(len(content), 300), 4):
            content[place] = generator.integers(256)
        path.write_bytes(content)
        try:
            read_rgb(path)
            size_px(path)
        except UserError as error:
            assert str(error).startswith(str(path))
            refused += 1
    assert refused
