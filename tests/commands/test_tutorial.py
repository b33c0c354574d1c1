"""Every command of docs/photos.md, in the page's order, in one folder; each must end well."""

import json
import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from pennet.cli import app
from pennet.generator_files import save_generator
from pennet.methods import build_generator
from tests.configs import COPYING, small_recipe
from tests.project import ROOT

PAGE = (ROOT / "docs/photos.md").read_text()
COMMANDS = [line for block in re.findall(r"```bash\n(.*?)```", PAGE, re.DOTALL) for line in block.splitlines() if line]
PYTHON = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
RUN_ELSEWHERE = {
    "pip install .",  # tests/test_packaging.py installs the wheel
    "pennet data init mine photos --write params.yaml --size-px 64",  # tests/e2e/test_readme.py, this and the next one
    "make demo",
}
WIDTH, HEIGHT = 328, 248


def photo(seed: int = 0) -> Image.Image:
    coarse = np.random.default_rng(seed).integers(30, 220, (27, 36, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What the page's reader has: a photo, its copies, one with a layer, folders of them, a model of their own."""
    monkeypatch.chdir(tmp_path)
    box = (slice(90, 130), slice(140, 200))
    photo().save("photo.jpg", quality=92)
    painted = np.array(photo())
    painted[box] = 255, 0, 0
    Image.fromarray(painted).save("painted.jpg", quality=92)
    layer = np.zeros((HEIGHT, WIDTH, 4), np.uint8)
    layer[box] = 30, 90, 200, 255
    Image.fromarray(layer).save("layer.png")
    erased = np.dstack([np.array(photo()), np.full((HEIGHT, WIDTH), 255, np.uint8)])
    erased[box] = 0
    Image.fromarray(erased).save("erased.png")
    for name in ("holiday/day 1", "scans", "scans_masks"):
        Path(name).mkdir(parents=True)
    mask = Image.fromarray((255 * (layer[..., 3] > 0)).astype(np.uint8))
    photo(7).save("holiday/day 1/IMG (7).JPG", quality=92)
    for number in range(2):
        photo(number).save(f"scans/{number}.jpg", quality=92)
        mask.save(f"scans_masks/{number}{'_mask' * number}.png")
    recipe = small_recipe(**COPYING)
    save_generator(build_generator(recipe), recipe, tmp_path / "models/mine/pennet/seed-2019")
    return tmp_path


def run(line: str) -> str:
    program, *arguments = shlex.split(line)
    assert program == "pennet", line
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, f"{line}: {result.output} {result.exception!r}"
    return result.stdout


@pytest.mark.slow
def test_every_command_of_the_page_ends_well(folder: Path) -> None:
    assert set(COMMANDS) >= RUN_ELSEWHERE
    said = {line: run(line) for line in COMMANDS if line not in RUN_ELSEWHERE}
    for line, shown in said.items():
        target = re.search(r" -o (\S+)", line)
        if target and "--dry-run" not in line:
            assert Path(target[1]).exists(), line
        assert not target or shown, line
    assert Path("photo_filled.jpg").exists()
    assert not Path("whole.jpg").exists()
    assert Path("sources.png").exists()
    assert {path.name for path in Path("restored").iterdir()} == {"0_filled.jpg", "1_filled.jpg"}
    objects = [
        json.loads(line) for line in said["pennet inpaint holiday mask.png -o filled_for_programs --json"].splitlines()
    ]
    names = re.findall(r"`(\w+)`", PAGE.split("nothing else there:")[1].split("\n\n")[0])
    assert [list(one) for one in objects] == [names]
    for code in PYTHON:
        exec(code, {})
    assert Image.open("filled.png").size == (WIDTH, HEIGHT)


def test_every_page_that_the_page_names_exists() -> None:
    names = set(re.findall(r"\]\(([^)#]+)", PAGE))
    assert [name for name in names if not (ROOT / "docs" / name).exists()] == []
