import csv
import os
import re
import shutil
import subprocess
import sys
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from ruamel.yaml import YAML
from typer.testing import CliRunner

from pennet.cli import app
from pennet.config import NAME_PATTERN, SourceConfig, config_from_mapping
from pennet.data.pictures.picture_files import read_mask
from pennet.folders import pair_folders
from pennet.masks import KINDS, mask_function
from pennet.metrics import pixel
from pennet.metrics.report import read_report
from tests.metrics.samples import noisy, pictures

REAL = pictures(4, 32, 32)
FAKE = noisy(REAL, 20)


def _folder(path: Path, images: np.ndarray, suffix: str = ".png") -> Path:
    path.mkdir()
    for i, image in enumerate(images):
        Image.fromarray(image).save(path / f"{i:03}{suffix}")
    return path


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    return _folder(tmp_path / "real", REAL), _folder(tmp_path / "fake", FAKE)


def _evaluate(*arguments: object) -> tuple[int, str]:
    fast = ["--extractor", "none", "--lpips", "none", "--device", "cpu"]
    result = CliRunner().invoke(app, ["evaluate", *map(str, arguments), *fast])
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return result.exit_code, result.output


def test_evaluate_prints_and_writes_every_metric(folders: tuple[Path, Path], tmp_path: Path) -> None:
    masks = np.zeros((4, 32, 32), np.uint8)
    masks[:, :16, :16] = 255
    mask_dir = _folder(tmp_path / "masks", masks)
    written = ["--json", tmp_path / "out.json", "--csv", tmp_path / "out.csv"]
    code, output = _evaluate(*folders, "--masks", mask_dir, *written)
    assert code == 0, output
    report = read_report(tmp_path / "out.json")
    hole = (masks > 0).astype(np.uint8)
    composite = np.where(hole[..., None] == 1, FAKE, REAL)
    assert report.overall["l1"].value == pytest.approx(pixel.l1(composite, REAL).mean(), abs=1e-12)
    assert report.overall["l1_hole"].value == pytest.approx(pixel.l1_hole(FAKE, REAL, hole).mean(), abs=1e-12)
    for name in report.overall:
        assert name in output
    with (tmp_path / "out.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["name"] for row in rows] == ["000", "001", "002", "003"]
    assert {row["hole_ratio"] for row in rows} == {"0.25"}


def test_evaluate_with_masks_scores_composites_and_says_how_many_it_made(folders: tuple[Path, Path], tmp_path: Path) -> None:
    masks = np.zeros((4, 32, 32), np.uint8)
    masks[:, :16, :16] = 255
    mask_dir = _folder(tmp_path / "masks", masks)
    composite = np.where(masks[..., None] > 0, FAKE, REAL)
    for i in (0, 3):
        Image.fromarray(composite[i]).save(folders[1] / f"{i:03}.png")
    code, output = _evaluate(*folders, "--masks", mask_dir, "--json", tmp_path / "mixed.json")
    assert code == 0, output
    assert "2 of 4 results differed from the truth in known pixels" in " ".join(output.split())
    mixed = read_report(tmp_path / "mixed.json")
    assert mixed.num_composited == 2
    _evaluate(*folders, "--json", tmp_path / "plain.json")
    assert read_report(tmp_path / "plain.json").num_composited is None
    made = _folder(tmp_path / "composite", composite)
    _evaluate(folders[0], made, "--masks", mask_dir, "--json", tmp_path / "composite.json")
    own = read_report(tmp_path / "composite.json")
    assert (own.num_composited, own.overall) == (0, mixed.overall)


def test_evaluate_matches_pictures_in_subfolders(folders: tuple[Path, Path], tmp_path: Path) -> None:
    for folder in folders:
        (folder / "more").mkdir()
        (folder / "001.png").rename(folder / "more" / "000.png")
    code, output = _evaluate(*folders, "--csv", tmp_path / "out.csv")
    assert code == 0, output
    with (tmp_path / "out.csv").open(newline="") as file:
        rows = {row["name"]: float(row["l1"]) for row in csv.DictReader(file)}
    assert list(rows) == ["000", "002", "003", "more/000"]
    assert rows["more/000"] == pixel.l1(FAKE, REAL)[1]


def test_evaluate_of_results_below_the_ground_truth_folder(folders: tuple[Path, Path]) -> None:
    folders[1].rename(folders[0] / "fake")
    code, output = _evaluate(folders[0], folders[0] / "fake")
    assert code == 0, output


def test_evaluate_follows_the_note_that_a_picture_lies_on_its_side(tmp_path: Path) -> None:
    real, fake = _folder(tmp_path / "real", REAL[:1, :20]), tmp_path / "fake"
    fake.mkdir()
    exif = Image.Exif()
    exif[0x0112] = 6  # shown after a quarter turn clockwise
    Image.fromarray(np.rot90(REAL[0, :20])).save(fake / "000.png", exif=exif)
    code, output = _evaluate(real, fake)
    assert code == 0, output
    assert "infinite" in output or "no image has a finite value" in output


def test_evaluate_of_truths_of_different_sizes_states_the_limit(folders: tuple[Path, Path]) -> None:
    for folder in folders:
        Image.fromarray(REAL[0][:20]).save(folder / "002.png")
    code, output = _evaluate(*folders)
    text = " ".join(output.split())
    assert code == 1
    assert "all pictures must have one size" in text
    assert "002.png (32x20)" in text


def test_evaluate_names_every_picture_that_cannot_be_read(folders: tuple[Path, Path]) -> None:
    (folders[0] / "001.png").write_bytes(b"")
    (folders[1] / "003.png").write_text("<html>")
    code, output = _evaluate(*folders)
    assert code == 1
    assert "2 pictures cannot be read" in output
    assert "real/001.png: cannot be" in output and "fake/003.png: cannot be" in output


def test_evaluate_takes_no_photo_for_a_mask(folders: tuple[Path, Path], tmp_path: Path) -> None:
    code, output = _evaluate(*folders, "--masks", _folder(tmp_path / "photos", REAL))
    text = " ".join(output.split())
    assert code == 1
    assert "photos/000.png: " in text and "neither black nor white" in text


def test_evaluate_with_networks_prints_their_names(folders: tuple[Path, Path], tmp_path: Path) -> None:
    options = ["--device", "cpu", "--cache-dir", str(tmp_path / "cache")]
    result = CliRunner().invoke(app, ["evaluate", *map(str, folders), *options])
    assert result.exit_code == 0, result.output
    for name in ("is_efflite0", "fid_efflite0", "kid_efflite0", "lpips_alex"):
        assert name in result.output
    assert (tmp_path / "cache").is_dir()


def test_evaluate_matches_names_without_suffix(tmp_path: Path) -> None:
    real, fake = _folder(tmp_path / "real", REAL, ".bmp"), _folder(tmp_path / "fake", REAL)
    code, output = _evaluate(real, fake)
    assert code == 0
    assert "infinite" not in output.split("psnr")[0]


def test_evaluate_of_missing_and_extra_names_lists_the_first(folders: tuple[Path, Path]) -> None:
    real, fake = folders
    for i in range(5):
        Image.fromarray(REAL[0]).save(real / f"only_real_{i}.png")
    Image.fromarray(REAL[0]).save(fake / "only_fake.png")
    code, output = _evaluate(real, fake)
    assert code == 1
    text = " ".join(output.split())
    assert "lacks 5 of them: only_real_0, only_real_1, only_real_2 and 2 more" in text
    assert "only_fake" in text
    assert "Traceback" not in output


def test_evaluate_of_another_size_names_the_file(folders: tuple[Path, Path]) -> None:
    Image.fromarray(REAL[0][:20]).save(folders[1] / "002.png")
    code, output = _evaluate(*folders)
    assert code == 1
    assert "002.png (32x20)" in output
    assert "must have the size of their truth" in " ".join(output.split())


@pytest.mark.parametrize("content", [b"", b"not a picture"])
def test_evaluate_of_a_broken_picture_names_the_file(folders: tuple[Path, Path], content: bytes) -> None:
    (folders[1] / "001.png").write_bytes(content)
    code, output = _evaluate(*folders)
    assert code == 1
    assert "001.png: cannot be read as a picture" in output


def test_evaluate_takes_every_picture_type_and_no_hidden_file(tmp_path: Path) -> None:
    real, fake = _folder(tmp_path / "real", REAL, ".tiff"), _folder(tmp_path / "fake", REAL, ".TIF")
    (fake / "._000.TIF").write_bytes(b"what macOS leaves beside 000.TIF")
    (fake / ".ipynb_checkpoints").mkdir()
    Image.fromarray(REAL[0]).save(fake / ".ipynb_checkpoints" / "000-checkpoint.png")
    code, output = _evaluate(real, fake)
    assert code == 0, output


def test_evaluate_of_a_picture_of_too_many_pixels_names_the_file(
    folders: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 400)  # Pillow refuses more than twice as many
    code, output = _evaluate(*folders)
    assert code == 1
    assert "000.png: cannot be read as a picture" in output


def test_evaluate_of_a_file_name_that_is_no_utf_8_is_one_error(folders: tuple[Path, Path]) -> None:
    shutil.copy(folders[0] / "000.png", os.fsencode(folders[0]) + b"/caf\xe9.png")
    code, output = _evaluate(*folders)
    assert code == 1
    assert r"caf\xe9.png" in output


def test_pack_says_what_it_left_out(tmp_path: Path) -> None:
    photos = _folder(tmp_path / "photos", pictures(8, 8, 8))
    (photos / "a.heic").touch()
    result = CliRunner().invoke(app, ["pack", str(photos), str(tmp_path / "a.zip"), "--test-ratio", "0.5"])
    assert result.exit_code == 0, result.output
    assert f"left out: 1 of other types (1 .heic): {photos / 'a.heic'}\n" in result.stderr
    assert "left out" not in result.stdout


def test_evaluate_of_a_truncated_picture_names_the_file(folders: tuple[Path, Path]) -> None:
    path = folders[1] / "001.png"
    path.write_bytes(path.read_bytes()[:-900])
    code, output = _evaluate(*folders)
    assert code == 1
    assert "001.png: cannot be read as a picture" in output


def test_evaluate_of_no_folder_or_no_pictures_is_one_error(folders: tuple[Path, Path], tmp_path: Path) -> None:
    code, output = _evaluate(folders[0], tmp_path / "absent")
    assert (code, "absent: no such folder" in output) == (1, True)
    (tmp_path / "empty").mkdir()
    code, output = _evaluate(folders[0], tmp_path / "empty")
    assert (code, "empty: no pictures" in output) == (1, True)


def test_evaluate_of_ambiguous_names_is_one_error(folders: tuple[Path, Path]) -> None:
    Image.fromarray(REAL[0]).save(folders[1] / "001.bmp")
    code, output = _evaluate(*folders)
    assert (code, "differ only in their suffix" in output) == (1, True)


def test_help_imports_no_heavy_library() -> None:
    """So it comes at once."""
    code = """
import sys
sys.argv = ["pennet", "--help"]
from pennet.cli import main
try:
    main()
finally:
    print([name for name in ("torch", "numpy", "scipy", "cv2") if name in sys.modules])
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "evaluate" in result.stdout
    assert result.stdout.splitlines()[-1] == "[]"


def test_inpaint_of_a_mask_without_a_hole_is_one_error(tmp_path: Path) -> None:
    Image.fromarray(REAL[0]).save(tmp_path / "image.png")
    Image.new("L", (32, 32)).save(tmp_path / "mask.png")
    paths = [str(tmp_path / name) for name in ("image.png", "mask.png", "result.png")]
    result = CliRunner().invoke(app, ["inpaint", *paths[:2], "-o", paths[2], "--method", "telea"])
    assert result.exit_code == 1
    assert "mask.png: no hole" in " ".join(result.output.split())
    assert not Path(paths[2]).exists()


@pytest.mark.parametrize(
    ("stem", "name"),
    [("mine", "mine"), ("my photos", "my_photos"), ("It's #2: B", "it_s_2_b"), ("2024", "photos_2024"), ("é", "photos")],
)
def test_pack_suggests_what_params_yaml_takes(tmp_path: Path, stem: str, name: str) -> None:
    photos = _folder(tmp_path / "photos", pictures(8, 8, 8))
    archive = tmp_path / f"{stem}.zip"
    result = CliRunner().invoke(app, ["pack", str(photos), str(archive), "--test-ratio", "0.5"])
    assert result.exit_code == 0, result.output
    suggested = YAML(typ="safe", pure=True).load(result.output.split("params.yaml:\n")[1])
    assert suggested["datasets"] == [name]
    assert re.fullmatch(NAME_PATTERN, name)
    assert config_from_mapping(SourceConfig, suggested["sources"][name]).archives == [str(archive)]


@pytest.mark.parametrize("kind", [kind.name for kind in KINDS])
def test_mask_is_drawn_as_inpaint_reads_it(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "mask.png"
    command = ["mask", kind, str(path), "--height", "40", "--width", "56", "--seed", "3"]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0, result.output
    assert np.array_equal(read_mask(path), mask_function(kind)(np.random.default_rng(3), 40, 56))


def test_mask_of_an_unknown_kind_lists_the_known_ones(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["mask", "square", str(tmp_path / "mask.png")])
    assert result.exit_code == 2
    assert "No such command 'square'" in result.output
    assert list(tmp_path.iterdir()) == []


def test_evaluate_matches_a_name_that_macos_spells_otherwise(tmp_path: Path) -> None:
    names = [unicodedata.normalize(form, "été/é.png") for form in ("NFC", "NFD")]
    for folder, name in zip(("real", "fake"), names, strict=True):
        (tmp_path / folder / name).parent.mkdir(parents=True)
        Image.new("RGB", (8, 8)).save(tmp_path / folder / name)
    assert names[0] != names[1]
    assert pair_folders(tmp_path / "real", tmp_path / "fake", None).names == ["été/é"]


@pytest.mark.parametrize("beside", [True, False])
def test_evaluate_takes_masks_as_lama_names_them(folders: tuple[Path, Path], tmp_path: Path, beside: bool) -> None:
    """`NAME_mask.png`, beside `NAME.png` or in a folder of their own; the scores are those of the same masks renamed."""
    real, fake = folders
    plain, named = tmp_path / "plain", real if beside else tmp_path / "named"
    for number, path in enumerate(sorted(real.glob("*.png"))):
        mask = np.zeros(np.array(Image.open(path)).shape[:2], np.uint8)
        mask[: 8 + number] = 255
        for folder, name in ((plain, path.name), (named, f"{path.stem}_mask{number:03d}.png")):
            folder.mkdir(exist_ok=True)
            Image.fromarray(mask).save(folder / name)
    reports = []
    for masks in (plain, named):
        code, printed = _evaluate(real, fake, "--masks", masks, "--json", tmp_path / "out.json")
        assert code == 0, printed
        reports.append((tmp_path / "out.json").read_text())
    assert reports[0] == reports[1]
    Image.fromarray(mask).save(named / f"{path.stem}_mask.png")
    code, printed = _evaluate(real, fake, "--masks", named)
    assert code == 1
    assert "003_mask.png and 003_mask003.png are both masks of 003; keep one of each" in printed
