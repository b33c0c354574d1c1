"""Pictures of every mode and profile become the colours that they mean; profiles and files are written byte by byte."""

import hashlib
import io
import logging
import struct
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms

from pennet.data.pictures.picture_files import read_rgb, size_px
from pennet.errors import UserError
from tests.project import ROOT

SRGB = np.array([[0.43607, 0.38515, 0.14307], [0.22249, 0.71687, 0.06061], [0.01392, 0.09708, 0.71410]])
"""Columns: XYZ of the primaries, adapted to D50, as the ICC's own profile has them."""
ADOBE = np.array([[0.60974, 0.20528, 0.14919], [0.31111, 0.62567, 0.06322], [0.01947, 0.06087, 0.74457]])
P3 = np.array([[0.51512, 0.29198, 0.15710], [0.24120, 0.69225, 0.06657], [-0.00105, 0.04189, 0.78407]])
SRGB_CURVE = (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)
D50 = (0.9642, 1.0, 0.8249)


def fixed(*values: float) -> bytes:
    return b"".join(struct.pack(">i", round(value * 65536)) for value in values)


def profile(space: bytes, tags: dict[bytes, bytes], kind: bytes = b"mntr", pcs: bytes = b"XYZ ") -> bytes:
    """ICC.1: a header of 128 bytes, a table of tags, the tags; version 4."""
    tags = {b"wtpt": b"XYZ \0\0\0\0" + fixed(*D50)} | tags
    table, content, start = struct.pack(">I", len(tags)), b"", 132 + 12 * len(tags)
    for tag, value in tags.items():
        value += bytes(-len(value) % 4)
        table += tag + struct.pack(">II", start + len(content), len(value))
        content += value
    header = struct.pack(">I4sI", start + len(content), b"test", 0x04000000) + kind + space + pcs + bytes(12) + b"acsp"
    return header + bytes(68 - len(header)) + fixed(*D50) + bytes(48) + table + content


def of_primaries(xyz: np.ndarray, curve: float | tuple[float, ...]) -> bytes:
    kind, values = (0, (curve,)) if isinstance(curve, float) else (3, curve)
    trc = b"para\0\0\0\0" + struct.pack(">HH", kind, 0) + fixed(*values)
    tags = {name: b"XYZ \0\0\0\0" + fixed(*column) for name, column in zip((b"rXYZ", b"gXYZ", b"bXYZ"), xyz.T, strict=True)}
    return profile(b"RGB ", tags | dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), trc))


def linear(srgb: np.ndarray) -> np.ndarray:
    return np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)


def encoded(light: np.ndarray) -> np.ndarray:
    light = light.clip(0, 1)
    return np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)


COLOURS = np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)


@pytest.mark.parametrize("suffix", ["png", "tif", "webp"])
@pytest.mark.parametrize(("xyz", "curve"), [(ADOBE, 563 / 256), (P3, SRGB_CURVE)], ids=["Adobe RGB", "Display P3"])
def test_colours_that_srgb_has_come_out_as_they_are_in_srgb(
    tmp_path: Path, xyz: np.ndarray, curve: float | tuple[float, ...], suffix: str
) -> None:
    light = linear(COLOURS / 255) @ (np.linalg.inv(xyz) @ SRGB).T  # all of sRGB lies within both
    wide = light.clip(0, 1) ** (1 / curve) if isinstance(curve, float) else encoded(light)
    stored = (wide * 255).round().astype(np.uint8)
    path = tmp_path / f"wide.{suffix}"
    lossless = {"lossless": True} if suffix == "webp" else {}
    Image.fromarray(stored).save(path, icc_profile=of_primaries(xyz, curve), **lossless)
    means = (stored / 255) ** curve if isinstance(curve, float) else linear(stored / 255)
    expected = encoded(means @ (np.linalg.inv(SRGB) @ xyz).T) * 255
    assert np.abs(read_rgb(path) - expected).max() <= 1
    assert np.abs(stored.astype(int) - COLOURS).max() > 20  # what passing the profile over would be
    assert np.abs(read_rgb(path).astype(int) - COLOURS).mean() < 1  # rounding what was stored moves dark levels by more


def test_what_srgb_does_not_have_becomes_the_nearest_that_it_has(tmp_path: Path) -> None:
    Image.new("RGB", (2, 2), (255, 0, 0)).save(tmp_path / "red.png", icc_profile=of_primaries(P3, SRGB_CURVE))
    assert read_rgb(tmp_path / "red.png")[0, 0].tolist() == [255, 0, 0]
    Image.new("RGB", (2, 2), (0, 255, 0)).save(tmp_path / "green.png", icc_profile=of_primaries(P3, SRGB_CURVE))
    assert read_rgb(tmp_path / "green.png")[0, 0].tolist() == [0, 255, 0]


@pytest.mark.parametrize("made", ["ours", "Pillow's"])
@pytest.mark.parametrize("mode", ["RGB", "L", "P"])
def test_pixels_in_srgb_stay_to_the_last_bit(tmp_path: Path, made: str, mode: str) -> None:
    ours = of_primaries(SRGB, SRGB_CURVE)
    icc = ours if made == "ours" else ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    image = Image.fromarray(COLOURS).convert(mode)
    image.save(tmp_path / "srgb.png", icc_profile=icc)
    assert np.array_equal(read_rgb(tmp_path / "srgb.png"), np.array(image.convert("RGB")))


@pytest.mark.parametrize("depth", [8, 16])
def test_grey_with_a_profile_of_grey(tmp_path: Path, depth: int) -> None:
    """A curve of gamma 1: the numbers are light."""
    icc = profile(b"GRAY", {b"kTRC": b"curv\0\0\0\0" + struct.pack(">I", 0)})
    levels = np.arange(256, dtype=np.uint8).reshape(16, 16)
    Image.fromarray(levels if depth == 8 else 257 * levels.astype(np.uint16)).save(tmp_path / "grey.tif", icc_profile=icc)
    expected = encoded(levels / 255) * 255
    assert np.abs(read_rgb(tmp_path / "grey.tif") - expected[..., None]).max() <= 0.6
    Image.fromarray(levels).save(tmp_path / "plain.png")
    assert (read_rgb(tmp_path / "plain.png") == levels[..., None]).all()


def lab_of(srgb: tuple[int, int, int]) -> np.ndarray:
    x, y, z = SRGB @ linear(np.array(srgb) / 255) / D50

    def f(t: float) -> float:
        return t ** (1 / 3) if t > (6 / 29) ** 3 else t / (3 * (6 / 29) ** 2) + 4 / 29

    return np.array([116 * f(y) - 16, 500 * (f(x) - f(y)), 200 * (f(y) - f(z))])


CYAN, PAPER = (30, 140, 190), (250, 245, 235)


def printing_profile() -> bytes:
    """CMYK by a table of the 16 corners: paper, a cyan, and black for whatever else has ink."""
    corners = np.array([lab_of(PAPER if i == 0 else CYAN if i == 8 else (0, 0, 0)) for i in range(16)])  # C varies slowest
    table = np.stack([corners[:, 0] * 2.55, corners[:, 1] + 128, corners[:, 2] + 128], 1).round().astype(np.uint8)
    ramp = bytes(range(256))
    lut = b"mft1\0\0\0\0" + bytes([4, 3, 2, 0]) + fixed(1, 0, 0, 0, 1, 0, 0, 0, 1) + ramp * 4 + table.tobytes() + ramp * 3
    return profile(b"CMYK", {b"A2B0": lut, b"A2B1": lut}, b"prtr", b"Lab ")


@pytest.mark.parametrize("suffix", ["jpg", "tif"])
def test_cmyk_is_printed_as_its_profile_says(tmp_path: Path, suffix: str) -> None:
    for ink, expected in (((255, 0, 0, 0), CYAN), ((0, 0, 0, 255), (0, 0, 0))):
        path = tmp_path / f"print.{suffix}"
        Image.new("CMYK", (16, 16), ink).save(path, icc_profile=printing_profile())
        assert np.abs(read_rgb(path)[8, 8].astype(int) - expected).max() <= 3
    Image.new("CMYK", (16, 16), (255, 0, 0, 0)).save(path)
    assert np.abs(read_rgb(path)[8, 8].astype(int) - [0, 255, 255]).max() <= 2  # without: the complement


def test_ycck_jpeg_is_read_as_cmyk(tmp_path: Path) -> None:
    """Photoshop's form: Adobe's mark says that the first three channels are luma and chroma, inverted as all four are."""
    y, cb, cr = 150, 110, 160
    buffer = io.BytesIO()
    Image.new("CMYK", (16, 16), (255 - y, 255 - cb, 255 - cr, 0)).save(buffer, "JPEG", quality=100, subsampling=0)
    content = bytearray(buffer.getvalue())
    mark = content.index(b"Adobe")
    assert content[mark - 4 : mark - 2] == b"\xff\xee" and content[mark + 11] == 0
    content[mark + 11] = 2
    (tmp_path / "ycck.jpg").write_bytes(content)
    rgb = [y + 1.402 * (cr - 128), y - 0.344136 * (cb - 128) - 0.714136 * (cr - 128), y + 1.772 * (cb - 128)]
    # The decoder gives 255 - rgb for inverted inks, Pillow turns them round, and the complement of an ink is its light.
    assert np.abs(read_rgb(tmp_path / "ycck.jpg")[8, 8] - [255 - value for value in rgb]).max() <= 3


@pytest.mark.parametrize("colour", [(255, 0, 0), (20, 200, 60), (128, 128, 128), (255, 255, 255)])
def test_lab_tiff(tmp_path: Path, colour: tuple[int, int, int]) -> None:
    lightness, a, b = lab_of(colour)
    pixel = bytes([round(lightness * 2.55), round(a) % 256, round(b) % 256])
    (tmp_path / "lab.tif").write_bytes(tiff(4, 4, pixel * 16, bits=8, photometric=8))
    assert np.abs(read_rgb(tmp_path / "lab.tif")[0, 0].astype(int) - colour).max() <= 5  # Lab in whole steps


def tiff(width: int, height: int, pixels: bytes, bits: int, photometric: int, samples: int = 3) -> bytes:
    """Little-endian, one strip, no compression."""
    fields = [(256, 3, 1, width), (257, 3, 1, height), (258, 3, samples, 0), (259, 3, 1, 1), (262, 3, 1, photometric)]
    fields += [(273, 4, 1, 0), (277, 3, 1, samples), (278, 3, 1, height), (279, 4, 1, len(pixels))]
    start = 8 + 2 + 12 * len(fields) + 4
    values = {258: start, 273: start + 2 * samples}
    rows = b"".join(struct.pack("<HHII", tag, kind, n, values.get(tag, value)) for tag, kind, n, value in fields)
    head = b"II*\0" + struct.pack("<IH", 8, len(fields)) + rows + bytes(4)
    return head + struct.pack("<H", bits) * samples + pixels


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(width: int, height: int, rows: list[bytes], bits: int, colour_type: int, *before: bytes) -> bytes:
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, colour_type, 0, 0, 0))
    pixels = chunk(b"IDAT", zlib.compress(b"".join(b"\0" + row for row in rows)))
    return b"\x89PNG\r\n\x1a\n" + head + b"".join(before) + pixels + chunk(b"IEND", b"")


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_16_bit_colour_keeps_its_upper_half(tmp_path: Path, suffix: str) -> None:
    values = np.random.default_rng(0).integers(0, 65536, (3, 5, 3)).astype(np.uint16)
    path = tmp_path / f"deep.{suffix}"
    if suffix == "png":
        path.write_bytes(png(5, 3, [row.astype(">u2").tobytes() for row in values], 16, 2))
    else:
        path.write_bytes(tiff(5, 3, values.astype("<u2").tobytes(), 16, 2))
    shown = read_rgb(path)
    assert (shown == values >> 8).all()
    assert np.abs(shown - values / 257).max() <= 1


def test_palette_with_transparency_counts_only_what_shows(tmp_path: Path) -> None:
    image = Image.new("P", (4, 4), 1)
    image.putpalette([0, 0, 0, 10, 20, 30])
    image.save(tmp_path / "unused.png", transparency=0)
    assert read_rgb(tmp_path / "unused.png")[0, 0].tolist() == [10, 20, 30]
    image.putpixel((2, 3), 0)
    image.save(tmp_path / "used.png", transparency=0)
    with pytest.raises(UserError, match=r"used\.png: has transparency; flatten it"):
        read_rgb(tmp_path / "used.png")


@pytest.mark.parametrize(("bits", "colour_type"), [(8, 0), (16, 0), (8, 2), (8, 4), (16, 4), (8, 6), (16, 6)])
@pytest.mark.parametrize("clear", [False, True])
def test_every_kind_of_transparency_of_png(tmp_path: Path, bits: int, colour_type: int, clear: bool) -> None:
    channels, white = {0: 1, 2: 3, 4: 2, 6: 4}[colour_type], bytes([255] * (bits // 8))
    pixel, before = white * channels, []
    if colour_type in (0, 2):  # one colour is clear
        key = (2**bits - 1) if clear else 7
        before = [chunk(b"tRNS", struct.pack(">H", key) * channels)]
    elif clear:
        pixel = white * (channels - 1) + bytes(bits // 8)
    path = tmp_path / "some.png"
    path.write_bytes(png(2, 2, [pixel * 2] * 2, bits, colour_type, *before))
    if clear or (bits, colour_type) == (16, 0):  # Pillow says nothing of where 16-bit grey is clear
        with pytest.raises(UserError, match=r"some\.png: has transparency"):
            read_rgb(path)
    else:
        assert (read_rgb(path) == 255).all()


@pytest.mark.parametrize(
    ("icc", "said"),
    [
        (b"no profile", "its colour profile is broken and passed over"),
        (of_primaries(ADOBE, 2.2)[:200], "its colour profile is broken and passed over"),
        (printing_profile(), "its colour profile is for CMYK, not RGB, and passed over"),
        (ImageCms.ImageCmsProfile(ImageCms.createProfile("XYZ")).tobytes(), "of colour space 'XYZ'"),
    ],
    ids=["nonsense", "cut", "another space", "no space of pictures"],
)
def test_profile_that_cannot_be_used_is_passed_over_with_a_word(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, icc: bytes, said: str
) -> None:
    Image.fromarray(COLOURS).save(tmp_path / "odd.png", icc_profile=icc)
    with caplog.at_level(logging.WARNING):
        assert np.array_equal(read_rgb(tmp_path / "odd.png"), COLOURS)
    assert [said in record.getMessage() and "odd.png" in record.getMessage() for record in caplog.records] == [True]


def test_png_with_a_long_profile_is_read(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """2 MB, which Pillow takes for a bomb; as it comes beside a long text, too."""
    rows = [row.tobytes() for row in COLOURS]
    long = zlib.compress(of_primaries(ADOBE, 2.2) + bytes(2 << 20))
    content = png(16, 16, rows, 8, 2, chunk(b"iCCP", b"long\0\0" + long), chunk(b"zTXt", b"note\0\0" + long))
    (tmp_path / "long.png").write_bytes(content)
    with caplog.at_level(logging.WARNING):
        assert np.array_equal(read_rgb(io.BytesIO(content), "long.png"), COLOURS)
    assert [record.getMessage() for record in caplog.records] == ["long.png: its colour profile is too long and passed over"]
    assert size_px(tmp_path / "long.png") == size_px(io.BytesIO(content)) == (16, 16)


def test_pictures_that_come_with_the_project_keep_every_bit() -> None:
    """They have no profile; the digest was taken before profiles were followed."""
    digest = hashlib.sha256()
    with zipfile.ZipFile(ROOT / "data/embedded/terrain-256.zip") as archive:
        names = [name for name in sorted(archive.namelist()) if name.endswith((".png", ".jpg"))]
        for name in names:
            picture = read_rgb(io.BytesIO(archive.read(name)), name)
            digest.update(f"{name} {picture.shape}\n".encode())
            digest.update(picture.tobytes())
    assert len(names) == 281
    assert digest.hexdigest() == "3fb69617766427d1542f0f96dc030b550336fbc75f6e523776b25bb9a45013f9"
