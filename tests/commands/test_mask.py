"""`pennet mask`: masks for photos, by the pixels that they mark."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from pennet.cli import app
from pennet.data.pictures.picture_files import read_mask

PHOTO = np.random.default_rng(0).integers(0, 150, (30, 50, 3), dtype=np.uint8)
INSIDE = np.zeros((30, 50), bool)
INSIDE[5:15, 20:28] = True


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def mask(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["mask", *arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return result.exit_code, " ".join(result.output.split())


def test_rectangles_have_the_size_of_the_photo_as_it_is_seen() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # shown after a quarter turn
    Image.fromarray(PHOTO).save("photo.jpg", exif=exif)
    code, said = mask("rectangle", "mask.png", "--like", "photo.jpg", "--box", "3,40,7,5", "--box", "-5,-5,7,8")
    assert (code, said) == (0, "mask.png: 30 x 50 px, a hole of 2.7 %")
    expected = np.zeros((50, 30), np.uint8)
    expected[40:45, 3:10] = 1
    expected[:3, :2] = 1  # cut at the edge
    assert np.array_equal(read_mask(Path("mask.png")), expected)


@pytest.mark.parametrize(
    ("box", "code", "why"),
    [
        ("60,0,5,5", 1, "lies outside of the 50 x 30 px"),
        ("-9,0,5,5", 1, "lies outside"),
        ("1,2,3", 2, "expected four numbers"),
        ("1,2,0,3", 2, "must be 1 or more"),
        ("0,0,50,30", 1, "nothing but hole"),
    ],
)
def test_a_rectangle_that_is_none_writes_nothing(box: str, code: int, why: str) -> None:
    assert mask("rectangle", "mask.png", "--width", "50", "--height", "30", "--box", box)[0] == code
    assert why in mask("rectangle", "mask.png", "--width", "50", "--height", "30", "--box", box)[1]
    assert not Path("mask.png").exists()


def test_a_mask_larger_than_any_photo_is_refused_before_it_is_drawn() -> None:
    for kind in (["centre"], ["rectangle", "--box", "0,0,5,5"]):
        code, said = mask(*kind, "mask.png", "--width", "99999999", "--height", "99999999")
        assert (code, "--height and --width: 99999999 x 99999999 pixels are more than" in said) == (1, True), said


@pytest.mark.parametrize("suffix", [".png", ".jpg", "16.png"])
def test_what_is_painted_in_a_colour_on_a_copy(suffix: str) -> None:
    painted = np.where(INSIDE[..., None], np.array([255, 0, 0], np.uint8), PHOTO)
    if suffix == "16.png":
        import cv2

        cv2.imwrite("copy16.png", 257 * painted[..., ::-1].astype(np.uint16))
    else:
        Image.fromarray(painted).save(f"copy{suffix}", quality=95, subsampling=0)
    code, said = mask("colour", "mask.png", "--from", f"copy{suffix}", "--colour", "#ff0000", "--tolerance", "60")
    assert code == 0, said
    assert np.array_equal(read_mask(Path("mask.png")), INSIDE)


def test_a_colour_that_is_not_there_is_answered_with_the_nearest() -> None:
    Image.fromarray(np.where(INSIDE[..., None], np.array([250, 20, 9], np.uint8), PHOTO // 2)).save("copy.png")
    code, said = mask("colour", "mask.png", "--from", "copy.png", "--colour", "ff0000", "--tolerance", "5")
    assert (code, "no pixel within 5 of ff0000; the nearest is #fa1409, 20 off" in said) == (1, True), said
    assert mask("colour", "mask.png", "--from", "copy.png", "--colour", "red")[0] == 2


@pytest.mark.parametrize("invert", [False, True])
def test_what_is_painted_on_a_transparent_layer(invert: bool) -> None:
    alpha = np.where(invert != INSIDE, 255, 0).astype(np.uint8)
    Image.fromarray(np.dstack([PHOTO, alpha])).save("layer.png")
    code, said = mask("alpha", "mask.png", "--from", "layer.png", *(["--invert"] if invert else []))
    assert code == 0, said
    assert np.array_equal(read_mask(Path("mask.png")), INSIDE)


def test_a_picture_without_alpha_is_refused() -> None:
    Image.fromarray(PHOTO).save("layer.png")
    code, said = mask("alpha", "mask.png", "--from", "layer.png")
    assert (code, "layer.png: has no transparency" in said) == (1, True)


def test_a_kind_takes_the_size_of_a_photo() -> None:
    Image.fromarray(PHOTO).save("photo.png")
    assert mask("centre", "mask.png", "--like", "photo.png")[0] == 0
    assert read_mask(Path("mask.png")).shape == (30, 50)
    assert mask("centre", "other.png", "--like", "photo.png", "--width", "9")[0] == 2


def test_nothing_is_overwritten_unless_told_and_an_input_never() -> None:
    Image.fromarray(PHOTO).save("photo.png")
    before = Path("photo.png").read_bytes()
    assert mask("centre", "mask.png")[0] == 0
    assert mask("centre", "mask.png") == (1, "pennet: mask.png: exists; --overwrite replaces it")
    assert mask("centre", "mask.png", "--overwrite")[0] == 0
    code, said = mask("rectangle", "photo.png", "--like", "photo.png", "--box", "1,1,2,2", "--overwrite")
    assert (code, "photo.png: is an input" in said) == (1, True)
    assert Path("photo.png").read_bytes() == before
    assert mask("centre", "mask.jpg")[1].startswith("pennet: mask.jpg: the result is a PNG")
