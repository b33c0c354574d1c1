"""How quality falls with size: every side and hole is there, holes have their sizes, and the figures are the pictures'."""

import io
import json
import re
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from benchmarks import hole_sizes
from pennet.generator_files import save_generator
from pennet.metrics.perceptual import LPIPS
from pennet.models.pennet import PENNet
from tests.configs import small_recipe
from tests.project import ROOT

ARCHIVE = ROOT / "data/embedded/terrain-256.zip"
RATIOS = [1, 5, 10, 20, 25, 30, 40, 50, 60]
BINS = [(1, 10), (10, 20), (20, 30), (30, 40), (40, 50), (50, 60)]
METHODS = ["model", "mean", "telea", "patchmatch"]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny generator that never learned, of 32 px."""
    folder = tmp_path_factory.mktemp("model")
    torch.manual_seed(0)
    recipe = small_recipe()
    save_generator(PENNet.from_config(recipe), recipe, folder)
    (folder / "identity.json").write_text(json.dumps({"prepare.image_size_px": "32"}))
    return folder


def command(monkeypatch: pytest.MonkeyPatch, *words: object) -> None:
    threads = str(torch.get_num_threads())
    monkeypatch.setattr(sys, "argv", ["hole_sizes", *map(str, words), "--threads", threads])
    hole_sizes.main()


@pytest.fixture(scope="module")
def output(model: Path) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        command(patch, model, "--archive", ARCHIVE, "--images", 2, "--output", model / "holes.md")
    return model / "holes.md"


@pytest.fixture(scope="module")
def rows(output: Path) -> list[dict[str, str]]:
    heads, _, *lines = [line for line in output.read_text().splitlines() if line.startswith("|")]
    keys, *cells = ([cell.strip() for cell in line.strip("|").split("|")] for line in (heads, *lines))
    return [dict(zip(keys, row, strict=True)) for row in cells]


def test_table_has_a_line_for_every_side_and_hole(rows: list[dict[str, str]]) -> None:
    holes = [f"centre square {ratio}%" for ratio in RATIOS] + [f"strokes {low}-{high}%" for low, high in BINS]
    assert [(row["side px"], row["hole"]) for row in rows] == [
        (side, hole) for side in ("32", "64", "128") for hole in holes
    ]
    metrics = ("L1 in the hole ↓", "PSNR (dB) ↑", "LPIPS (alex) ↓")
    assert list(rows[0]) == ["side px", "hole", "hole %", *(f"{metric}: {m}" for metric in metrics for m in METHODS)]
    assert all(np.isfinite(float(cell)) for row in rows for cell in list(row.values())[2:])


def test_drawn_holes_have_the_ratios_that_are_asked_for(rows: list[dict[str, str]]) -> None:
    for row in rows:
        numbers = [float(number) for number in re.findall(r"[0-9]+", row["hole"])]
        side_px, found = int(row["side px"]), float(row["hole %"])
        if len(numbers) == 2:
            assert numbers[0] <= found <= numbers[1]
        else:  # half a column of the square more or less, and the rounding of the table
            assert found == pytest.approx(numbers[0], abs=50 * np.sqrt(numbers[0] / 100) / side_px * 1.2 + 0.05)


def test_centre_hole_is_one_square_in_the_middle() -> None:
    for side_px in (32, 64, 100, 256):
        for ratio in RATIOS:
            mask = hole_sizes.centre_hole(ratio / 100, side_px)
            lines, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
            assert mask[np.ix_(lines, columns)].all()
            assert abs(len(lines) - len(columns)) <= 2
            for places in (lines, columns):
                assert abs(places[0] - (side_px - 1 - places[-1])) <= 1
    assert np.array_equal(np.flatnonzero(hole_sizes.centre_hole(0.25, 64).any(axis=0)), np.arange(16, 48))


def test_figures_of_mean_are_those_of_its_pictures(rows: list[dict[str, str]]) -> None:
    """From the archive's files alone: the list's first and middle test picture, halved by Pillow."""
    with zipfile.ZipFile(ARCHIVE) as archive:
        lines = archive.read("manifest.csv").decode().splitlines()
        columns = lines[0].split(",")
        tests = [line.split(",") for line in lines[1:] if line.split(",")[columns.index("split")] == "test"]
        files = [tests[place][columns.index("file")] for place in (0, len(tests) // 2)]
        sources = [Image.open(io.BytesIO(archive.read(file))).convert("RGB") for file in files]
    truths = np.stack([np.array(image.resize((128, 128), Image.Resampling.BILINEAR)) for image in sources])
    made, l1, psnr = truths.copy(), [], []
    for truth, picture in zip(truths, made, strict=True):
        known = np.ones((128, 128), bool)
        known[32:96, 32:96] = False
        picture[32:96, 32:96] = np.round(truth[known].mean(axis=0))
        difference = (picture.astype(float) - truth) / 255
        l1.append(np.abs(difference[32:96, 32:96]).mean())
        psnr.append(-10 * np.log10((difference**2).mean()))
    (row,) = [row for row in rows if (row["side px"], row["hole"]) == ("128", "centre square 25%")]
    assert float(row["hole %"]) == 25
    assert float(row["L1 in the hole ↓: mean"]) == pytest.approx(np.mean(l1), abs=5.1e-5)
    assert float(row["PSNR (dB) ↑: mean"]) == pytest.approx(np.mean(psnr), abs=5.1e-3)
    assert float(row["LPIPS (alex) ↓: mean"]) == pytest.approx(LPIPS("alex").score(made, truths).mean(), abs=1.1e-4)


def test_plot_and_sheet_are_written_beside_the_table(output: Path) -> None:
    assert Image.open(output.with_suffix(".png")).size == (900, 640)
    sheet = np.array(Image.open(output.with_name("holes-sheet.png")))
    cell = 128 + 4
    assert sheet.shape == (20 + 6 * cell, 10 * cell, 3)  # holes and results of three sides; the truth and nine ratios
    of_quarter = sheet[20 + 4 * cell :, 5 * cell :]  # 128 px, the hole of 25 %
    assert (of_quarter[32:96, 32:96] == 255).all()
    assert np.array_equal(of_quarter[:32, :128], sheet[20 + 4 * cell :][:32, :128])
    result = of_quarter[cell : cell + 128, :128]
    assert np.array_equal(result[:32], of_quarter[:32, :128])
    assert not (result[32:96, 32:96] == 255).all()


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["--images", "1000"], r"--images: 1000, but .*terrain-256\.zip has 72 test pictures; ask for 1 to 72"),
        (["--size-px", "512"], r"terrain-256\.zip: pictures of 256 px are smaller than the model's 512 px"),
        (["--size-px", "16"], r"pictures of 16 px are too small for LPIPS, which needs 32 px"),
        (["--archive", "none.zip"], r"archive none\.zip: no such file"),
    ],
)
def test_mistakes_are_one_message(monkeypatch: pytest.MonkeyPatch, model: Path, words: list[str], problem: str) -> None:
    with pytest.raises(SystemExit, match=problem):
        command(monkeypatch, model, "--archive", ARCHIVE, *words)


def test_model_that_does_not_say_its_size_is_named(monkeypatch: pytest.MonkeyPatch, model: Path, tmp_path: Path) -> None:
    for name in ("generator.safetensors", "config.json"):
        (tmp_path / name).write_bytes((model / name).read_bytes())
    with pytest.raises(SystemExit, match=r"identity\.json does not say at what size the model was trained; give it with"):
        command(monkeypatch, tmp_path, "--archive", ARCHIVE)
