"""Known pixels come back bit for bit, as other programs read them."""

import io
from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from pennet.errors import UserError
from pennet.photos.photo import Photo
from pennet.photos.reading import read_photo
from pennet.photos.writing import check_writable, write_photo
from tests.photos.samples import chunk, chunks, encoded, png, unpacked_png

LOSSLESS = [
    (suffix, bands, depth)
    for suffix, most_bands, depths in ((".png", 4, (8, 16)), (".tif", 4, (8, 16)), (".webp", 4, (8,)), (".bmp", 3, (8,)))
    for bands in range(1, most_bands + 1)
    for depth in depths
    if not (suffix == ".webp" and bands < 3) and not (suffix == ".bmp" and bands == 2)
]


def stored(suffix: str, samples: np.ndarray) -> bytes:
    """A file, by other writers."""
    if suffix == ".png":
        return png(samples)
    if suffix == ".tif":
        return tiff(samples)
    return encoded(samples, suffix[1:], **({"lossless": True, "exact": True} if suffix == ".webp" else {}))


def tiff(samples: np.ndarray, **how: object) -> bytes:
    out = io.BytesIO()
    bands = samples.shape[2]
    extra = ["unassalpha"] if bands in (2, 4) else None
    content = samples[..., 0] if bands == 1 else samples
    if how.get("planarconfig") == "separate":
        content = np.moveaxis(samples, 2, 0)
    elif bands > 1:
        how["planarconfig"] = "contig"
    photometric = "rgb" if bands > 2 else "minisblack"
    tifffile.imwrite(out, content, photometric=photometric, extrasamples=extra, metadata=None, **how)
    return out.getvalue()


def read_by_another(path: Path, bands: int) -> np.ndarray:
    """(H, W, C)."""
    if path.suffix == ".png":
        return unpacked_png(path.read_bytes())
    if path.suffix == ".tif":
        return tifffile.imread(path).reshape(*tifffile.imread(path).shape[:2], bands)
    read = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    return read[..., None] if read.ndim == 2 else read[..., [2, 1, 0, 3][:bands]]


def random_samples(height: int, width: int, bands: int, depth: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.integers(0, 1 << depth, (height, width, bands), dtype=np.uint8 if depth == 8 else np.uint16)


@pytest.mark.parametrize(("suffix", "bands", "depth"), LOSSLESS)
@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(1, 70), st.integers(1, 20), st.integers(0, 2**32 - 1))
def test_known_pixels_bit_for_bit(
    suffix: str, bands: int, depth: int, tmp_path: Path, height: int, width: int, seed: int
) -> None:
    samples = random_samples(height, width, bands, depth, seed)
    source, target = tmp_path / f"photo{suffix}", tmp_path / f"filled{suffix}"
    source.write_bytes(stored(suffix, samples))
    photo = read_photo(source)
    colours = bands - (bands + 1) % 2
    assert np.array_equal(photo.pixels, np.broadcast_to(samples[..., :colours], (height, width, 3)))
    assert (photo.alpha is None) == (bands % 2 == 1)

    filled = photo.pixels.copy()
    filled[: height // 2 + 1, : width // 2 + 1] = (7, 200, 90)
    assert write_photo(target, photo, filled) == ()

    written = read_by_another(target, bands)
    assert written.dtype.itemsize * 8 == depth
    expected = samples.copy()
    grey = (299 * 7 + 587 * 200 + 114 * 90 + 500) // 1000
    is_grey = photo.form.grey
    expected[: height // 2 + 1, : width // 2 + 1, :colours] = grey if is_grey else (7, 200, 90)
    assert np.array_equal(written, expected)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("compression", [None, "zlib", "packbits"])
@pytest.mark.parametrize("planes", ["contig", "separate"])
@pytest.mark.parametrize("bands", [3, 4])
@pytest.mark.parametrize("depth", [8, 16])
@pytest.mark.parametrize("tiles", [False, True])
def test_tiff_layouts(
    order: str, compression: str | None, planes: str, bands: int, depth: int, tiles: bool, tmp_path: Path
) -> None:
    samples = random_samples(37, 21, bands, depth, 3)
    how = {"byteorder": order, "compression": compression, "planarconfig": planes}
    if compression == "packbits":
        how["compression"] = "zlib"
        how["predictor"] = True
    if tiles:
        how["tile"] = (16, 16)
    source, target = tmp_path / "photo.tif", tmp_path / "filled.tiff"
    source.write_bytes(tiff(samples, **how))
    photo = read_photo(source)
    assert np.array_equal(photo.pixels, samples[..., :3])
    assert bands == 3 or np.array_equal(photo.alpha, samples[..., 3])
    assert write_photo(target, photo, photo.pixels) == ()
    assert np.array_equal(tifffile.imread(target), samples)
    with tifffile.TiffFile(source) as old, tifffile.TiffFile(target) as new:
        assert new.byteorder == old.byteorder
        assert new.pages[0].compression == old.pages[0].compression
        assert new.pages[0].predictor == old.pages[0].predictor


@pytest.mark.parametrize("compression", ["tiff_lzw", "packbits", "tiff_adobe_deflate", None])
def test_tiff_compression_is_kept(compression: str | None, tmp_path: Path) -> None:
    samples = random_samples(40, 30, 3, 8, 0)
    source, target = tmp_path / "photo.tif", tmp_path / "filled.tif"
    Image.fromarray(samples).save(source, compression=compression)
    photo = read_photo(source)
    write_photo(target, photo, photo.pixels)
    with Image.open(target) as image:
        assert image.info["compression"] == (compression or "raw")
        assert np.array_equal(np.array(image), samples)


@pytest.mark.parametrize("depth", [8, 16])
def test_lzw_of_16_bits_from_another_writer(depth: int, tmp_path: Path) -> None:
    samples = random_samples(40, 30, 3, depth, 0)
    source, target = tmp_path / "photo.tif", tmp_path / "filled.tif"
    cv2.imwrite(str(source), samples[..., ::-1], [cv2.IMWRITE_TIFF_COMPRESSION, 5])
    photo = read_photo(source)
    assert np.array_equal(photo.pixels, samples)
    write_photo(target, photo, photo.pixels)
    assert np.array_equal(cv2.imread(str(target), cv2.IMREAD_UNCHANGED)[..., ::-1], samples)
    with tifffile.TiffFile(target) as file:
        assert file.pages[0].compression == 5


def test_white_is_zero_of_16_bits(tmp_path: Path) -> None:
    samples = random_samples(5, 6, 1, 16, 0)
    path = tmp_path / "photo.tif"
    tifffile.imwrite(path, samples[..., 0], photometric="miniswhite", metadata=None)
    assert np.array_equal(read_photo(path).pixels[..., 0], 65535 - samples[..., 0])


@pytest.mark.parametrize("bands", [1, 3])
@pytest.mark.parametrize("depth", [8, 16])
def test_a_transparent_colour_becomes_alpha(bands: int, depth: int, tmp_path: Path) -> None:
    samples = random_samples(6, 7, bands, depth, 0)
    key = samples[2, 3]
    content = b"".join(int(level).to_bytes(2, "big") for level in key)
    path, target = tmp_path / "photo.png", tmp_path / "filled.png"
    path.write_bytes(png(samples, chunk(b"tRNS", content)))
    photo = read_photo(path)
    clear = (samples == key).all(axis=2)
    assert np.array_equal(photo.alpha == 0, clear) and "transparent colour" in photo.words[0]
    write_photo(target, photo, photo.pixels)
    assert b"tRNS" not in dict(chunks(target.read_bytes()))
    written = unpacked_png(target.read_bytes())
    assert np.array_equal(written[..., :-1], samples) and np.array_equal(written[..., -1] == 0, clear)


def test_colours_multiplied_with_their_transparency(tmp_path: Path) -> None:
    for kind in (np.uint8, np.uint16):
        samples = np.array([[[10, 20, 40, 80], [0, 0, 0, 0]]], kind)
        path = tmp_path / "photo.tif"
        tifffile.imwrite(path, samples, photometric="rgb", extrasamples=["assocalpha"], metadata=None)
        photo = read_photo(path)
        most = np.iinfo(kind).max
        assert np.abs(photo.pixels[0, 0].astype(int) - np.array([10, 20, 40]) * most // 80).max() <= 1
        assert "multiplied" in " ".join(photo.words)


CONVERTED = [
    *(("P", suffix, "palette") for suffix in (".png", ".tif", ".bmp")),
    *(("1", suffix, "1 bit") for suffix in (".png", ".tif", ".bmp")),
    *(("CMYK", suffix, "CMYK") for suffix in (".tif", ".jpg")),
    ("LAB", ".tif", "LAB"),
]


@pytest.mark.parametrize(("mode", "suffix", "word"), CONVERTED)
def test_what_is_neither_grey_nor_rgb_is_converted_with_a_word(mode: str, suffix: str, word: str, tmp_path: Path) -> None:
    image = Image.fromarray(random_samples(9, 8, 3, 8, 0))
    image = Image.new("LAB", (8, 9), (100, 30, 20)) if mode == "LAB" else image.convert(mode)
    path, target = tmp_path / f"photo{suffix}", tmp_path / f"filled{suffix}"
    image.save(path)
    photo = read_photo(path)
    assert word in photo.words[0]
    expected = image.convert("RGB") if mode in ("P", "1") else None
    assert expected is None or np.array_equal(photo.pixels, np.array(expected))
    write_photo(target, photo, photo.pixels)
    with Image.open(target) as written:
        assert written.mode == ("L" if mode == "1" else "RGB")


def test_a_cmyk_profile_is_followed_and_left_out(tmp_path: Path) -> None:
    path, target = tmp_path / "photo.jpg", tmp_path / "filled.jpg"
    Image.new("CMYK", (16, 16), (0, 255, 255, 0)).save(path, icc_profile=b"no profile at all")
    photo = read_photo(path)
    write_photo(target, photo, photo.pixels)
    with Image.open(target) as written:
        assert "icc_profile" not in written.info
        assert np.abs(np.array(written).astype(int) - (255, 0, 0)).max() < 12


def test_a_photo_without_colours_gets_no_coloured_hole(tmp_path: Path) -> None:
    path, target = tmp_path / "photo.png", tmp_path / "filled.png"
    path.write_bytes(png(np.repeat(random_samples(20, 20, 1, 8, 0), 3, axis=2)))
    photo = read_photo(path)
    assert "no pixel of it has a colour" in photo.words[0]
    filled = photo.pixels.copy()
    filled[5:9, 5:9] = (200, 20, 90)
    write_photo(target, photo, filled)
    written = unpacked_png(target.read_bytes())
    assert written.shape[2] == 3 and len(set(written[6, 6].tolist())) == 1
    filled[5:9, 5:9] = written[6, 6]
    assert np.array_equal(written, filled)


TARGETS = [".png", ".tif", ".webp", ".bmp", ".jpg", ".avif"]


@pytest.mark.parametrize("suffix", TARGETS)
@pytest.mark.parametrize("bands", [1, 3])
@pytest.mark.parametrize("depth", [8, 16])
def test_another_format(suffix: str, bands: int, depth: int, tmp_path: Path) -> None:
    level = np.linspace(0, (1 << depth) - 1, 16 * 16).reshape(16, 16, 1)
    samples = np.broadcast_to(level, (16, 16, bands)).astype(np.uint8 if depth == 8 else np.uint16).copy()
    if bands == 3:
        samples[0, 0] = (1, 2, 3)
    path, target = tmp_path / "photo.png", tmp_path / f"filled{suffix}"
    path.write_bytes(png(samples))
    photo = read_photo(path)
    words = " ".join(write_photo(target, photo, photo.pixels))
    again = read_photo(target)
    deep = depth == 16 and suffix in (".png", ".tif")
    assert again.pixels.dtype == (np.uint16 if deep else np.uint8)
    assert ("16 became 8" in words) == (depth == 16 and not deep)
    assert ("quality" in words) == (suffix in (".jpg", ".avif"))
    expected = photo.pixels if deep or depth == 8 else np.rint(photo.pixels / 257)
    difference = np.abs(again.pixels.astype(float) - expected).max()
    assert difference == 0 if suffix not in (".jpg", ".avif") else difference < 12
    with Image.open(target) as image:
        assert (image.mode[0] in "LI") == (bands == 1 and suffix != ".webp")


@pytest.mark.parametrize("suffix", [".jpg", ".bmp"])
def test_transparency_is_refused_where_there_is_none(suffix: str, tmp_path: Path) -> None:
    path, target = tmp_path / "photo.png", tmp_path / f"filled{suffix}"
    samples = random_samples(4, 4, 4, 8, 0)
    path.write_bytes(png(samples))
    with pytest.raises(UserError, match=r"filled.*transparency.*write a PNG"):
        check_writable(target, read_photo(path))
    assert not target.exists()
    samples[..., 3] = 255
    path.write_bytes(png(samples))
    photo = read_photo(path)
    write_photo(target, photo, photo.pixels)


@pytest.mark.parametrize(("suffix", "longest"), [(".webp", 16383), (".jpg", 65500), (".avif", 32768)])
def test_a_photo_longer_than_a_format_holds_is_refused_before_it_is_filled(
    suffix: str, longest: int, tmp_path: Path
) -> None:
    for side in (longest, longest + 1):
        pixels = np.zeros((side, 1, 3), np.uint8)
        photo, target = Photo(tmp_path / "long.png", pixels), tmp_path / f"filled{suffix}"
        if side > longest:
            with pytest.raises(UserError, match=rf"filled.*long\.png has 1 x {side} px, .* than {longest}; write a PNG"):
                check_writable(target, photo)
        else:
            write_photo(target, photo, pixels)
            assert read_photo(target).pixels.shape == pixels.shape


def test_pixels_that_come_from_no_file(tmp_path: Path) -> None:
    pixels = random_samples(5, 6, 3, 8, 0)
    write_photo(tmp_path / "filled.png", Photo(Path("array"), pixels), pixels)
    assert np.array_equal(unpacked_png((tmp_path / "filled.png").read_bytes()), pixels)


def test_a_filling_of_another_kind_is_a_bug(tmp_path: Path) -> None:
    pixels = random_samples(5, 6, 3, 8, 0)
    photo = Photo(Path("array"), pixels)
    for wrong in (pixels[:4], pixels.astype(np.uint16)):
        with pytest.raises(ValueError, match="no filling of a photo"):
            write_photo(tmp_path / "filled.png", photo, wrong)


def test_unknown_suffix(tmp_path: Path) -> None:
    photo = Photo(Path("array"), random_samples(5, 6, 3, 8, 0))
    for name in ("filled.gif", "filled", "filled.heic"):
        with pytest.raises(UserError, match=r"filled.*ends in .avif, .bmp"):
            write_photo(tmp_path / name, photo, photo.pixels)
    assert list(tmp_path.iterdir()) == []
