from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from pennet.data.images import read_mask, read_rgb, resize_square, to_float, to_uint8


def test_float_conversion_is_undone_exactly() -> None:
    every_byte = np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1).repeat(3, axis=3)
    floats = to_float(every_byte)
    assert floats.shape == (1, 3, 16, 16)
    assert floats.min() == -1
    assert floats.max() == 1
    assert np.array_equal(to_uint8(floats), every_byte)


def test_to_uint8_clips_what_is_out_of_range() -> None:
    assert to_uint8(torch.tensor([-3.0, 3.0, 0.0]).view(1, 3, 1, 1)).tolist() == [[[[0, 255, 128]]]]


def test_resize_square_takes_the_centre() -> None:
    picture = np.zeros((40, 80, 3), np.uint8)
    picture[:, 20:60] = 200
    assert (resize_square(picture, 20) == 200).all()


def test_resize_square_returns_a_picture_of_the_right_size_as_it_is() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    assert np.array_equal(resize_square(picture, 32), picture)


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


@pytest.mark.parametrize("read", [read_rgb, read_mask])
def test_picture_of_too_many_pixels_is_refused_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, read: Callable[[Path], Any]
) -> None:
    Image.new("L", (30, 30)).save(tmp_path / "bomb.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 400)  # Pillow refuses more than twice as many
    with pytest.raises(ValueError, match=r"bomb\.png: cannot be read as a (picture|mask) \(.*decompression bomb"):
        read(tmp_path / "bomb.png")
