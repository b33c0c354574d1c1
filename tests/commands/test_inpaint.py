"""`pennet inpaint` on photos as people have them, with real reading, filling and writing."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from pennet.cli import app
from pennet.generator_files import save_generator
from pennet.methods import build_generator
from tests.commands.photos import HOLE, ICC, SIDE, save_deep_png, save_jpeg, save_mask, texture
from tests.configs import COPYING, small_recipe
from tests.project import ROOT

KNOWN = HOLE == 0


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def inpaint(*arguments: str, method: str | None = "telea") -> tuple[int, str, str]:
    chosen = ["--method", method] if method else []
    result = CliRunner().invoke(app, ["inpaint", *arguments, *chosen])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.stdout, result.stderr


def pixels(name: str) -> np.ndarray:
    return np.array(Image.open(name))


def test_a_jpeg_comes_back_as_it_was_but_for_the_hole() -> None:
    save_jpeg(Path("photo.jpg"))
    save_mask(Path("mask.png"))
    code, out, err = inpaint("photo.jpg", "mask.png")
    assert code == 0, err
    assert out.startswith("photo_filled.jpg: filled in ")
    before, after = Image.open("photo.jpg"), Image.open("photo_filled.jpg")
    assert (after.format, after.info["icc_profile"], after.info["dpi"]) == ("JPEG", ICC, before.info["dpi"])
    assert dict(after.getexif()) == dict(before.getexif())
    assert after.quantization == before.quantization
    seen, was = (np.rot90(np.array(image).astype(int), -1) for image in (after, before))
    known = np.abs(seen - was).max(axis=2)
    assert known[KNOWN].mean() < 1
    assert known[HOLE > 0].mean() > 10


def test_sixteen_bits_stay_bit_for_bit() -> None:
    import cv2

    deep = save_deep_png(Path("photo.png"))
    save_mask(Path("mask.png"))
    code, _, err = inpaint("photo.png", "mask.png", "-o", "out/deep.png")
    assert code == 0, err
    filled = cv2.imread("out/deep.png", cv2.IMREAD_UNCHANGED)[..., ::-1]
    assert filled.dtype == np.uint16
    assert np.array_equal(filled[KNOWN], deep[KNOWN])
    assert not np.array_equal(filled, deep)


@pytest.fixture
def photo() -> np.ndarray:
    """`photo.png` and `mask.png`; what is in the hole is far from what is around it."""
    image = np.where(HOLE[..., None] > 0, np.uint8(255), texture())
    Image.fromarray(image).save("photo.png")
    save_mask(Path("mask.png"))
    return image


def changed(photo: np.ndarray, name: str = "photo_filled.png") -> np.ndarray:
    return np.any(pixels(name)[..., :3] != photo, axis=2)


def test_words_are_told_beside_the_result(photo: np.ndarray) -> None:
    save_mask(Path("soft.jpg"), quality=30)
    code, out, err = inpaint("photo.png", "soft.jpg")
    assert (code, out.count("\n")) == (0, 1)
    assert all(line.startswith("photo.png: ") for line in err.splitlines())
    assert "grey pixels: hole where lighter than mid-grey" in err
    assert changed(photo)[35:45, 45:65].all()
    assert not changed(photo)[KNOWN].any()


def test_a_mask_of_the_other_polarity_is_suspected_and_inverted_if_told(photo: np.ndarray) -> None:
    save_mask(Path("inverse.png"), 1 - HOLE)
    code, _, err = inpaint("photo.png", "inverse.png", "-o", "odd.png")
    assert (code, "use --invert-mask" in err) == (0, True)
    code, _, err = inpaint("photo.png", "inverse.png", "--invert-mask")
    assert code == 0, err
    assert "invert" not in err
    assert not changed(photo)[KNOWN].any()


def test_a_mask_of_another_size_is_refused_and_resized_if_told(photo: np.ndarray) -> None:
    save_mask(Path("half.png"), HOLE[::2, ::2])
    code, out, err = inpaint("photo.png", "half.png")
    assert (code, out) == (1, "")
    assert err.startswith("pennet: half.png: 48 x 48 px, but the photo has 96 x 96 px")
    assert "--resize-mask" in err
    assert not Path("photo_filled.png").exists()
    assert inpaint("photo.png", "half.png", "--resize-mask")[0] == 0
    assert np.array_equal(changed(photo), HOLE > 0)


def test_the_hole_grows_and_its_border_is_blended(photo: np.ndarray) -> None:
    assert inpaint("photo.png", "mask.png", "--dilate", "3")[0] == 0
    assert changed(photo)[28, 45:65].any()
    assert not changed(photo)[25].any()
    assert inpaint("photo.png", "mask.png", "--feather", "4", "--overwrite")[0] == 0
    assert changed(photo)[28, 45:65].any()
    assert not changed(photo)[24].any()


def test_what_is_transparent_is_filled_and_seen() -> None:
    image = texture()
    Image.fromarray(np.dstack([image, 255 * (1 - HOLE)])).save("photo.png")
    code, _, err = inpaint("photo.png", "alpha")
    assert code == 0, err
    filled = pixels("photo_filled.png")
    assert filled.shape[2] == 4
    assert (filled[..., 3] == 255).all()
    assert np.array_equal(filled[KNOWN][:, :3], image[KNOWN])
    assert inpaint("photo.png", "alpha", "--invert-mask")[0] == 2


def folder() -> None:
    """Three photos, of which one is broken, with a mask each."""
    Path("photos").mkdir()
    Path("masks").mkdir()
    for name in "abc":
        save_jpeg(Path(f"photos/{name}.jpg"), ord(name))
        save_mask(Path(f"masks/{name}_mask.png"))
    Path("photos/b.jpg").write_bytes(Path("photos/b.jpg").read_bytes()[:700])


def test_one_bad_file_does_not_stop_the_others() -> None:
    folder()
    code, out, err = inpaint("photos", "masks", "-o", "new/filled")
    assert code == 1
    assert sorted(path.name for path in Path("new/filled").iterdir()) == ["a_filled.jpg", "c_filled.jpg"]
    assert [line.split(":")[0] for line in out.splitlines()] == ["new/filled/a_filled.jpg", "new/filled/c_filled.jpg"]
    first, second = err.splitlines()[-2:]
    assert first == "pennet: 1 of 3 photos were not filled:"
    assert second.startswith("  - photos/b.jpg: cannot be read")
    before = Path("new/filled/a_filled.jpg").stat().st_mtime_ns
    code, out, err = inpaint("photos", "masks", "-o", "new/filled")
    assert (code, out) == (1, "")
    assert "  - photos/a.jpg: new/filled/a_filled.jpg: exists; --overwrite replaces it" in err
    assert Path("new/filled/a_filled.jpg").stat().st_mtime_ns == before


def test_the_objects_of_a_folder() -> None:
    folder()
    code, out, _ = inpaint("photos", "masks", "--json")
    a, b, c = (json.loads(line) for line in out.splitlines())
    assert code == 1
    assert (a["image"], a["mask"], a["output"]) == ("photos/a.jpg", "masks/a_mask.png", "photos/a_filled.jpg")
    assert (a["width"], a["height"], a["error"]) == (SIDE, SIDE, None)
    assert a["hole_ratio"] == pytest.approx(HOLE.mean())
    assert a["seconds"] > 0
    assert a["windows"][0].keys() == {"top", "left", "height", "width", "factor"}
    assert b["error"].startswith("photos/b.jpg: cannot be read")
    assert b["hole_ratio"] is None
    assert c["error"] is None


def test_a_dry_run_writes_nothing(photo: np.ndarray) -> None:
    code, out, _ = inpaint("photo.png", "mask.png", "--dry-run")
    assert code == 0
    assert out.startswith("photo.png -> photo_filled.png (nothing is written)\n  96 x 96 px, a hole of 6.5 %; strategy auto")
    assert sorted(path.name for path in Path().iterdir()) == ["mask.png", "photo.png"]
    (found,) = inpaint("photo.png", "mask.png", "--dry-run", "--json")[1].splitlines()
    assert json.loads(found)["seconds"] is None


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["--model", "m", "--method", "telea"], "choose one of"),
        (["--method", "photoshop"], "none of mean, telea"),
        (["--strategy", "best"], "best"),
        (["--sources", "s.png", "--strategy", "crop"], "--strategy original"),
        (["--dilate", "-1"], "--dilate"),
        (["--model", ""], "--model: is empty"),
        (["--onnx", ""], "--onnx: is empty"),
        (["--sources", ""], "--sources: is empty"),
    ],
)
def test_wrong_use_ends_with_2(photo: np.ndarray, arguments: list[str], why: str) -> None:
    code, out, err = inpaint("photo.png", "mask.png", *arguments, method=None)
    assert (code, out, why in " ".join(err.split())) == (2, "", True), err


def test_a_forgotten_mask_is_said(photo: np.ndarray) -> None:
    code, out, err = inpaint("photo.png")
    assert (code, out, "expected IMAGE... MASK; one of them is missing" in err) == (2, "", True), err


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_a_stream_that_is_closed_does_not_stop_the_work(photo: np.ndarray, stream: str) -> None:
    command = (
        f'"{sys.executable}" -m pennet inpaint photo.png mask.png --method telea {">&-" if stream == "stdout" else "2>&-"}'
    )
    result = subprocess.run(
        ["sh", "-c", command], env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, timeout=60
    )
    assert (result.returncode, Path("photo_filled.png").exists()) == (0, True), result.stderr


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["-o", "out.xyz"], "out.xyz: no format that photos are written in"),
        (["--sharpness", "10"], "has no attention to sharpen"),
        (["--sources", "s.png"], "copies no pixels"),
        (["--sources", "mask.png", "--overwrite"], "mask.png: is an input"),
        (["--sources", "out.png", "-o", "out.png"], "--sources out.png: is where the result goes"),
        (["--dilate", "9" * 20], "leaves no known pixel"),
        (["-o", "x" * 300 + ".png"], "x.png: File name too long"),
    ],
)
def test_what_cannot_be_done_ends_with_1_and_writes_nothing(photo: np.ndarray, arguments: list[str], why: str) -> None:
    code, out, err = inpaint("photo.png", "mask.png", *arguments)
    assert (code, out, why in err) == (1, "", True), err
    assert sorted(path.name for path in Path().iterdir()) == ["mask.png", "photo.png"]


def test_odd_names_and_devices_are_one_line(photo: np.ndarray) -> None:
    for name in ("empty\n.png", "text\r.jpg", "._a\n.png"):
        Path(name).write_bytes(b"" if "empty" in name else b"no photo")
    Path("photo.png").rename("pho\nto.png")
    for images, mask, more in (
        ("empty\n.png", "mask.png", []),
        ("text\r.jpg", "mask.png", []),
        ("._a\n.png", "mask.png", []),
        ("pho\nto.png", "text\r.jpg", []),
        ("pho\nto.png", "mask.png", ["-o", "\n.xyz"]),
        ("pho\nto.png", "mask.png", ["-o", "\n" + 300 * "x" + ".png"]),
        ("pho\nto.png", "mask.png", ["--device", "no\npe"]),
    ):
        code, out, err = inpaint(images, mask, *more)
        assert (code, out, err.count("\n"), err.count("\r")) == (1, "", 1, 0), err
    code, out, _ = inpaint("pho\nto.png", "mask.png")
    assert (code, out.startswith("pho\\nto_filled.png: filled in"), out.count("\n")) == (0, True, 1), out


def test_no_such_model_is_one_error(photo: np.ndarray) -> None:
    code, _, err = inpaint("photo.png", "mask.png", "--model", "nowhere/at_all", method=None)
    assert (code, "nowhere/at_all" in err, err.count("\n")) == (1, True, 1)


def test_the_model_is_loaded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    from pennet import inpainter

    folder()
    loaded = []

    class Counted(inpainter.Inpainter):
        def __init__(self, *arguments: Any):
            loaded.append(arguments)
            super().__init__(*arguments)

    monkeypatch.setattr(inpainter, "Inpainter", Counted)
    assert inpaint("photos", "masks")[0] == 1
    assert len(loaded) == 1


@pytest.fixture
def model(here: Path) -> str:
    """A folder with a small generator that copies pixels, as training leaves it."""
    recipe = small_recipe(**COPYING)
    save_generator(build_generator(recipe), recipe, here / "model")
    return "model"


def test_an_exported_model_fills_as_the_model_does(photo: np.ndarray, model: str) -> None:
    result = CliRunner().invoke(app, ["export", model, "--onnx", "model.onnx"])
    assert result.exit_code == 0, result.output
    whole = ["--strategy", "original", "-o"]
    for chosen in (["--model", model, *whole, "torch.png"], ["--onnx", "model.onnx", *whole, "onnx.png"]):
        code, _, err = inpaint("photo.png", "mask.png", *chosen, method=None)
        assert code == 0, err
    apart = np.abs(pixels("torch.png").astype(int) - pixels("onnx.png").astype(int))
    assert apart.max() <= 1
    assert changed(photo, "onnx.png")[HOLE > 0].mean() > 0.9


def test_sources_are_drawn_beside_the_result(photo: np.ndarray, model: str) -> None:
    code, out, err = inpaint("photo.png", "mask.png", "--model", model, "--sources", "s.png", method=None)
    assert (code, out.startswith("photo_filled.png: filled")) == (0, True), err
    assert pixels("s.png").shape[1] > 3 * 300
    code, _, err = inpaint("photo.png", "mask.png", "-o", "b.png", "--model", model, "--sources", "s.png", method=None)
    assert (code, err) == (1, "pennet: s.png: exists; --overwrite replaces it\n")
    assert not Path("b.png").exists()


def test_sources_are_those_of_the_ring_that_fades_too(photo: np.ndarray, model: str) -> None:
    for option in ("--feather", "--dilate"):
        chosen = [option, "4", "--model", model, "--sources", f"{option[2:]}.png", "-o", f"{option[2:]}_filled.png"]
        code, _, err = inpaint("photo.png", "mask.png", *chosen, method=None)
        assert code == 0, err
    feather, dilate = pixels("feather.png"), pixels("dilate.png")
    third = feather.shape[1] // 3
    assert np.array_equal(feather[:, :third], dilate[:, :third])
    assert np.array_equal(feather[:, -third:], dilate[:, -third:])
