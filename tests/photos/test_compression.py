"""Photos that lose something when they are stored lose no more than they did."""

import io
import threading
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image, ImageFile, JpegImagePlugin

from pennet.photos import jpeg, vp8
from pennet.photos.reading import read_photo
from pennet.photos.writing import write_photo
from tests.photos.samples import encoded


def scene() -> np.ndarray:
    """Slopes, edges and noise."""
    rows, columns = np.mgrid[0:160, 0:240]
    waves = np.sin(rows / 7) * 40 + np.cos(columns / 11) * 40 + 110
    picture = np.stack([waves, np.roll(waves, 30, axis=1), waves[::-1]], axis=2)
    picture[40:90, 60:150] += 60
    return (picture + np.random.default_rng(0).normal(0, 6, picture.shape)).clip(0, 255).astype(np.uint8)


def written(content: bytes, name: str, tmp_path: Path, hole: bool = True) -> tuple[Path, tuple[str, ...]]:
    source, target = tmp_path / name, tmp_path / f"filled-{name}"
    source.write_bytes(content)
    photo = read_photo(source)
    filled = photo.pixels.copy()
    if hole:
        filled[64:80, 80:96] = filled[100:116, 80:96]
    return target, write_photo(target, photo, filled)


@pytest.mark.parametrize("quality", [50, 75, 90, 97])
@pytest.mark.parametrize("sampling", [0, 1, 2])
@pytest.mark.parametrize("how", [{}, {"progressive": True}, {"optimize": True}])
def test_jpeg_is_written_as_it_was(quality: int, sampling: int, how: dict[str, bool], tmp_path: Path) -> None:
    content = encoded(scene(), "JPEG", quality=quality, subsampling=sampling, **how)
    target, words = written(content, "photo.jpg", tmp_path)
    assert words == ()
    with Image.open(io.BytesIO(content)) as old, Image.open(target) as new:
        assert new.quantization == old.quantization
        assert JpegImagePlugin.get_sampling(new) == sampling
        assert new.info.get("progressive") == old.info.get("progressive")
        before, after = np.array(old).astype(float), np.array(new).astype(float)
    assert abs(target.stat().st_size / len(content) - 1) < 0.15
    known = np.ones(before.shape, bool)
    known[64 - 16 : 80 + 16, 80 - 16 : 96 + 16] = False
    psnr = 10 * np.log10(255**2 / max(((before - after)[known] ** 2).mean(), 1e-9))
    assert psnr > (56 if sampling == 0 else 46)  # measured: without a difference up to quality 90, 57.1 at 97; 46.2 and more


def test_grey_jpeg(tmp_path: Path) -> None:
    content = encoded(scene()[..., 0], "JPEG", quality=80)
    target, _ = written(content, "photo.jpg", tmp_path)
    with Image.open(target) as new, Image.open(io.BytesIO(content)) as old:
        assert new.mode == "L" and new.quantization == old.quantization
    assert abs(target.stat().st_size / len(content) - 1) < 0.15


def test_jpeg_that_holds_rgb(tmp_path: Path) -> None:
    content = encoded(scene(), "JPEG", quality=90, keep_rgb=True)
    target, words = written(content, "photo.jpg", tmp_path)
    with Image.open(target) as new:
        assert new.info["adobe_transform"] == 0 and words == ()


def test_noise_that_outgrows_pillows_buffer(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (400, 400, 3), dtype=np.uint8)
    how = [cv2.IMWRITE_JPEG_QUALITY, 100, cv2.IMWRITE_JPEG_PROGRESSIVE, 1, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, 0x111111]
    content = cv2.imencode(".jpg", noise, how)[1].tobytes()
    target, words = written(content, "photo.jpg", tmp_path)
    assert words == () and abs(target.stat().st_size / len(content) - 1) < 0.15


def test_a_larger_buffer_is_for_that_photo_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another thread saves while Pillow's number, which all threads share, is larger."""
    usual, save, inside, done = ImageFile.MAXBLOCK, Image.Image.save, threading.Event(), threading.Event()
    small = np.zeros((8, 8, 3), np.uint8)
    other = threading.Thread(target=jpeg._encoded, args=(small, {"quality": 90}))

    def meeting(image: Image.Image, *args: object, **how: object) -> None:
        if image.size == (8, 8):
            inside.set()
            done.wait(30)
        elif usual != ImageFile.MAXBLOCK:
            other.start()
            inside.wait(30)
        save(image, *args, **how)  # type: ignore[arg-type]

    monkeypatch.setattr(Image.Image, "save", meeting)
    noise = np.random.default_rng(0).integers(0, 256, (400, 400, 3), dtype=np.uint8)
    assert jpeg._encoded(noise, {"quality": 100, "subsampling": 0, "progressive": True})
    done.set()
    other.join()
    assert usual == ImageFile.MAXBLOCK


@pytest.mark.parametrize("quality", [30, 75, 90])
def test_lossy_webp_is_as_coarse_as_it_was(quality: int, tmp_path: Path) -> None:
    content = encoded(scene(), "WEBP", quality=quality)
    assert abs(vp8.quality(vp8.quantiser(content[20:])) - quality) <= 6
    target, words = written(content, "photo.webp", tmp_path)
    assert b"VP8 " in target.read_bytes()[:40] and "quality" in words[0]
    assert abs(target.stat().st_size / len(content) - 1) < 0.25


def test_lossy_webp_with_transparency(tmp_path: Path) -> None:
    samples = np.concatenate([scene(), np.full((160, 240, 1), 128, np.uint8)], axis=2)
    target, _ = written(encoded(samples, "WEBP", quality=75), "photo.webp", tmp_path)
    with Image.open(target) as image:
        assert image.mode == "RGBA" and (np.array(image)[..., 3] == 128).all()


def test_avif_says_that_its_quality_is_not_known(tmp_path: Path) -> None:
    target, words = written(encoded(scene(), "AVIF", quality=80), "photo.avif", tmp_path)
    assert "quality 90" in words[0] and target.stat().st_size > 0


def test_jpeg_in_a_tiff_is_written_without_loss(tmp_path: Path) -> None:
    target, words = written(encoded(scene(), "TIFF", compression="jpeg", quality=90), "photo.tif", tmp_path)
    assert "LZW" in words[0]
    assert np.array_equal(read_photo(target).pixels[120:], read_photo(tmp_path / "photo.tif").pixels[120:])
