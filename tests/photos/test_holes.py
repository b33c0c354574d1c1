"""Masks as people make them."""

from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw
from scipy.ndimage import distance_transform_edt

from pennet.errors import UserError
from pennet.photos.discs import feather_weights
from pennet.photos.holes import dilated, hole_from_alpha, read_hole
from pennet.photos.reading import read_photo

HEIGHT, WIDTH = 60, 90
HOLE = np.zeros((HEIGHT, WIDTH), np.uint8)
HOLE[10:20, 30:50] = 1


def saved(image: Image.Image, path: Path, **settings: object) -> Path:
    image.save(path, **settings)
    return path


def painted(colour: tuple[int, ...], background: tuple[int, ...], mode: str = "RGBA") -> Image.Image:
    image = Image.new(mode, (WIDTH, HEIGHT), background)
    image.paste(colour, (30, 10, 50, 20))
    return image


def photo() -> np.ndarray:
    rows, columns = np.mgrid[0:HEIGHT, 0:WIDTH]
    noise = np.random.default_rng(0).normal(0, 20, (HEIGHT, WIDTH, 3))
    return (np.stack([rows * 3, columns * 2, 150 - columns], axis=2) + noise).clip(0, 255).astype(np.uint8)


@pytest.mark.parametrize(
    ("image", "name"),
    [
        (Image.fromarray(HOLE * 255), "grey.png"),
        (Image.fromarray(HOLE * 255), "grey.webp"),
        (Image.fromarray(HOLE), "zero-and-one.png"),
        (Image.fromarray(HOLE * 255).convert("1"), "bits.png"),
        (Image.fromarray(HOLE * 255).convert("1"), "bits.tif"),
        (Image.fromarray(HOLE.astype(np.uint16) * 65535), "deep.png"),
        (Image.fromarray(HOLE.astype(np.uint16)), "deep-one.tif"),
        (Image.fromarray(HOLE * 255).convert("P"), "palette.png"),
        (painted((255, 255, 255), (0, 0, 0), "RGB"), "colours.bmp"),
        (painted((255, 255, 255, 255), (0, 0, 0, 255)), "opaque.png"),
    ],
)
def test_white_is_hole(image: Image.Image, name: str, tmp_path: Path) -> None:
    hole = read_hole(saved(image, tmp_path / name, **({"lossless": True} if name.endswith("webp") else {})), HEIGHT, WIDTH)
    assert np.array_equal(hole.mask, HOLE) and hole.mask.dtype == np.uint8
    assert hole.words == ("3.7 % of the photo is hole",)
    assert hole.ratio == pytest.approx(200 / (HEIGHT * WIDTH))


def test_soft_edges(tmp_path: Path) -> None:
    hole = read_hole(saved(Image.fromarray(HOLE * 255), tmp_path / "mask.jpg", quality=60), HEIGHT, WIDTH)
    assert np.array_equal(hole.mask, HOLE)
    assert "grey pixels: hole where lighter than mid-grey" in hole.words[0]
    large = Image.new("L", (WIDTH * 8, HEIGHT * 8))
    ImageDraw.Draw(large).ellipse((80, 80, 400, 300), fill=255)
    smooth = large.resize((WIDTH, HEIGHT), Image.Resampling.LANCZOS)
    hole = read_hole(saved(smooth, tmp_path / "smooth.png"), HEIGHT, WIDTH)
    assert np.array_equal(hole.mask, np.array(smooth) > 127)


@pytest.mark.parametrize("colour", [(255, 255, 255), (0, 0, 0), (220, 30, 40), (128, 128, 128)])
@pytest.mark.parametrize("behind", [(0, 0, 0), (255, 255, 255)])
@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_drawn_on_a_transparent_layer(
    colour: tuple[int, int, int], behind: tuple[int, int, int], mode: str, tmp_path: Path
) -> None:
    """Whatever its colour, and whatever colour nobody sees behind it."""
    path = saved(painted((*colour, 255), (*behind, 0)).convert(mode), tmp_path / "layer.png")
    hole = read_hole(path, HEIGHT, WIDTH)
    assert np.array_equal(hole.mask, HOLE)
    assert "drawn on a transparent layer" in hole.words[0]
    assert np.array_equal(read_hole(path, HEIGHT, WIDTH, invert=True).mask, 1 - HOLE)


def test_black_and_white_on_a_transparent_layer(tmp_path: Path) -> None:
    image = painted((255, 255, 255, 255), (0, 0, 0, 0))
    image.paste((0, 0, 0, 255), (60, 30, 80, 50))
    hole = read_hole(saved(image, tmp_path / "layer.png"), HEIGHT, WIDTH)
    assert np.array_equal(hole.mask, HOLE) and "white is hole" in hole.words[0]


def test_a_soft_brush_on_a_transparent_layer(tmp_path: Path) -> None:
    alpha = np.clip(40 - distance_transform_edt(1 - HOLE) * 10, 0, 40) / 40 * 255
    layer = np.dstack([np.full((HEIGHT, WIDTH, 3), (200, 0, 0)), alpha]).astype(np.uint8)
    hole = read_hole(saved(Image.fromarray(layer), tmp_path / "layer.png"), HEIGHT, WIDTH)
    assert np.array_equal(hole.mask, layer[..., 3] > 127)
    assert "half transparent pixels" in " ".join(hole.words)


def test_a_faint_brush_on_a_transparent_layer(tmp_path: Path) -> None:
    hole = read_hole(saved(painted((200, 0, 0, 90), (0, 0, 0, 0)), tmp_path / "layer.png"), HEIGHT, WIDTH)
    assert np.array_equal(hole.mask, HOLE) and hole.words[0].startswith("drawn at most 35 % opaque")


def test_colours_beside_white_are_told(tmp_path: Path) -> None:
    mask = painted((255, 0, 0), (0, 0, 0), "RGB")
    mask.paste((255, 255, 255), (60, 30, 80, 50))
    hole = read_hole(saved(mask, tmp_path / "mask.png"), HEIGHT, WIDTH)
    assert hole.mask.sum() == 400 and hole.words[0] == "200 grey or coloured pixels: hole where lighter than mid-grey"


def test_two_levels_of_which_none_is_white(tmp_path: Path) -> None:
    hole = read_hole(saved(painted((128, 0, 0), (0, 0, 0), "RGB"), tmp_path / "label.png"), HEIGHT, WIDTH)
    assert np.array_equal(hole.mask, HOLE) and "two levels" in hole.words[0]


def test_which_side_is_up(tmp_path: Path) -> None:
    turned = Image.Exif()
    turned[0x112] = 6
    stored = Image.fromarray(HOLE * 255).transpose(Image.Transpose.ROTATE_90)
    hole = read_hole(saved(stored, tmp_path / "mask.png", exif=turned.tobytes()), HEIGHT, WIDTH)
    assert np.array_equal(hole.mask, HOLE)


def test_wrong_polarity_is_suspected(tmp_path: Path) -> None:
    path = saved(Image.fromarray((1 - HOLE) * 255), tmp_path / "mask.png")
    hole = read_hole(path, HEIGHT, WIDTH)
    assert "96.3 % of the photo is hole" in hole.words and "--invert-mask" in hole.words[-1]
    turned = read_hole(path, HEIGHT, WIDTH, invert=True)
    assert np.array_equal(turned.mask, HOLE) and "--invert-mask" not in " ".join(turned.words)
    twice = read_hole(saved(Image.fromarray(HOLE * 255), tmp_path / "right.png"), HEIGHT, WIDTH, invert=True)
    assert "leave out --invert-mask" in twice.words[-1]
    large = np.zeros((HEIGHT, WIDTH), np.uint8)
    large[5:-5, 5:-5] = 255  # a large hole whose border is known is meant
    assert "--invert-mask" not in " ".join(read_hole(saved(Image.fromarray(large), path), HEIGHT, WIDTH).words)


def test_another_size(tmp_path: Path) -> None:
    path = saved(Image.fromarray(HOLE.repeat(4, axis=0).repeat(4, axis=1) * 255), tmp_path / "mask.png")
    with pytest.raises(UserError, match=r"mask.png: 360 x 240 px, but the photo has 90 x 60 px.*--resize-mask"):
        read_hole(path, HEIGHT, WIDTH)
    hole = read_hole(path, HEIGHT, WIDTH, resize=True)
    assert np.array_equal(hole.mask, HOLE) and "resized from 360 x 240 to 90 x 60 px" in hole.words
    larger = read_hole(saved(Image.fromarray(HOLE * 255), path), HEIGHT * 3, WIDTH * 3, resize=True)
    assert larger.ratio == pytest.approx(HOLE.mean(), rel=0.05)
    for resize in (False, True):  # what would not help is not proposed
        with pytest.raises(UserError, match=r"of another shape than the photo's 60 x 90 px as it is shown: .*turn it by 90"):
            read_hole(path, WIDTH, HEIGHT, resize=resize)
        with pytest.raises(UserError, match=r"of another shape than the photo's 90 x 30 px: it would not fit; cut it"):
            read_hole(path, HEIGHT // 2, WIDTH, resize=resize)
    read_hole(path, 200, 299, resize=True)  # off by less than 2 %, as by rounding


def test_a_scratch_survives_resizing(tmp_path: Path) -> None:
    scratch = np.zeros((600, 900), np.uint8)
    scratch[300] = 255
    hole = read_hole(saved(Image.fromarray(scratch), tmp_path / "mask.png"), HEIGHT, WIDTH, resize=True)
    assert hole.mask[30].all() and hole.mask.sum() == WIDTH


@pytest.mark.parametrize("level", [0, 255])
def test_no_hole_and_nothing_known(level: int, tmp_path: Path) -> None:
    path = saved(Image.new("L", (WIDTH, HEIGHT), level), tmp_path / "mask.png")
    for invert in (False, True):
        word = "no hole" if (level == 0) != invert else "nothing but hole"
        with pytest.raises(UserError, match=f"mask.png: {word}"):
            read_hole(path, HEIGHT, WIDTH, invert=invert)


def test_a_photo_is_no_mask(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"% of its pixels are neither black nor white.*that is a photo"):
        read_hole(saved(Image.fromarray(photo()), tmp_path / "photo.jpg"), HEIGHT, WIDTH)
    rubbed_out = np.dstack([photo(), (1 - HOLE) * 255])
    with pytest.raises(UserError, match=r"a photo with transparency, no mask.*give alpha"):
        read_hole(saved(Image.fromarray(rubbed_out), tmp_path / "photo.png"), HEIGHT, WIDTH)
    with pytest.raises(UserError, match="holes must be white"):
        read_hole(saved(Image.fromarray(photo()[..., 2] // 3), tmp_path / "dark.png"), HEIGHT, WIDTH)


def test_a_photo_in_which_the_hole_was_rubbed_out(tmp_path: Path) -> None:
    for depth, kind in ((8, np.uint8), (16, np.uint16)):
        most = np.iinfo(kind).max
        samples = np.dstack([photo().astype(kind) * (most // 255), (1 - HOLE.astype(kind)) * most])
        path = tmp_path / f"photo{depth}.tif"
        tifffile.imwrite(path, samples, photometric="rgb", extrasamples=["unassalpha"], metadata=None)
        hole = hole_from_alpha(read_photo(path))
        assert np.array_equal(hole.mask, HOLE) and hole.words == ("3.7 % of the photo is hole",)
    for name, alpha, word in (("opaque", 255, "nothing is transparent"), ("clear", 0, "everything is transparent")):
        path = saved(Image.fromarray(np.dstack([photo(), np.full_like(HOLE, alpha)])), tmp_path / f"{name}.png")
        with pytest.raises(UserError, match=word):
            hole_from_alpha(read_photo(path))
    with pytest.raises(UserError, match=r"photo.jpg: no transparency"):
        hole_from_alpha(read_photo(saved(Image.fromarray(photo()), tmp_path / "photo.jpg")))


@settings(max_examples=30, deadline=None, derandomize=True)
@given(st.integers(1, 40), st.integers(1, 200), st.integers(0, 12), st.floats(0, 0.1), st.integers(0, 2**32 - 1))
def test_discs(height: int, width: int, radius: int, share: float, seed: int) -> None:
    mask = (np.random.default_rng(seed).random((height, width)) < share).astype(np.uint8)
    mask[height // 2, width // 3] = 1
    distance = distance_transform_edt(1 - mask)
    assert np.array_equal(dilated(mask, radius), distance <= radius)
    expected = np.clip(1 - distance / (radius + 1), 0, 1) * (distance <= radius)
    assert np.allclose(feather_weights(mask, radius), expected, atol=1e-6)


def test_a_large_disc() -> None:
    mask = np.zeros((450, 500), np.uint8)
    mask[200, 250] = 1
    rows, columns = np.mgrid[0:450, 0:500]
    assert np.array_equal(dilated(mask, 190), (rows - 200) ** 2 + (columns - 250) ** 2 <= 190**2)
    assert not dilated(np.zeros_like(mask), 3).any()
    for larger_than_the_picture in (50_000, 10**20):
        assert dilated(mask, larger_than_the_picture).all()
    with pytest.raises(ValueError, match="radius_px=-1"):
        dilated(mask, -1)
