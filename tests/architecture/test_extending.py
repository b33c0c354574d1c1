"""One more of each kind takes the files that CONTRIBUTING lists and no others: it is added to a copy, and used."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pennet.data.pictures.picture_files import read_mask
from tests.project import ROOT, SMALL, change_params, run

pytestmark = pytest.mark.slow

METRIC = '''"""Mean brightness of the hole, an example."""

from pennet.metrics.metric import Metric


def glow(fake, real, mask):
    """(N,H,W,C) twice, (N,H,W) -> (N,)."""
    return (fake / 255 * (mask > 0)[..., None]).sum(axis=(1, 2, 3)) / (mask > 0).sum(axis=(1, 2)) / fake.shape[3]


GLOW = Metric(
    name="glow", heading="glow", better="higher", range="0 to 1", digits=3, needs="hole", function=glow, headline=True
)
'''
MASK = '''"""Vertical stripes, an example."""

import numpy as np


def stripes(rng, height, width):
    mask = np.zeros((height, width), np.uint8)
    mask[:, rng.integers(2) :: 2] = 1
    return mask
'''
FILL = '''"""One grey, an example."""

import numpy as np


def fill_with_grey(image, mask):
    return np.full_like(image, 128)
'''
CONFIG = '''"""The parameters of an example."""

from dataclasses import dataclass
from typing import Literal

from pennet.config.methods import MethodConfig


@dataclass(frozen=True)
class FlatConfig(MethodConfig):
    method: Literal["flat"]
'''
MODEL = '''"""One learned colour, an example."""

import torch
from torch import nn

from pennet.models.output import GeneratorOutput


class Flat(nn.Module):
    unit_px = 1

    def __init__(self):
        super().__init__()
        self.colour = nn.Parameter(torch.zeros(3))

    @classmethod
    def from_config(cls, config):
        return cls()

    def forward(self, image, mask):
        return GeneratorOutput(self.colour.view(1, 3, 1, 1).expand_as(image), ())
'''
RECIPE = '''"""How the example learns."""

from pennet.masks import mask_function
from pennet.models.flat import Flat
from pennet.recipes.updates import ScheduledOptimizer, place, steps_at


class FlatRecipe:
    batches_per_step = 1

    def __init__(self, config, image_size_px, steps, device, mixed_precision):
        self.training_mask = mask_function(config.training_mask)
        self.generator = Flat.from_config(config)
        place(self.generator, device)
        schedule = config.adam_betas, steps_at(config.lr_milestones, steps), config.lr_decay_factor
        self.optimizer = ScheduledOptimizer("generator", self.generator.parameters(), config.learning_rate, *schedule)

    def update(self, batch):
        loss = (self.generator(batch.image, batch.mask).image - batch.image).abs().mean()
        self.optimizer.update(loss)
        return {"generator": loss.item()}

    def parts(self):
        return {"generator": self.generator, "optimizer": self.optimizer}
'''
PAGE = "# `glow`\n\n**Formula.** **Range.** **Rewards** **Misleads.** **Source.** an example\n"
TEST = '"""Where the test of {name} stands; it is counted here, and not run."""\n'
FLAT = {
    "method": "flat",
    "training_mask": "stripes",
    "initialisation": "kaiming",
    "learning_rate": 0.1,
    "adam_betas": [0.5, 0.9],
    "lr_milestones": [],
    "lr_decay_factor": 0.5,
}


def replace(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert text.count(old) == 1, f"{old!r} in {path}"
    path.write_text(text.replace(old, new))


class Copy:
    """A copy of everything that git holds, and the files that an addition has touched."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.git("clone", "--quiet", str(ROOT), str(folder), cwd=ROOT)
        changed = self.git("ls-files", "--modified", "--others", "--exclude-standard", cwd=ROOT).splitlines()
        for name in changed:  # the working tree is what is tested, committed or not
            target = folder / name
            target.unlink(missing_ok=True)
            if (ROOT / name).is_file():
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes((ROOT / name).read_bytes())
        self.commit()

    def git(self, *arguments: str, cwd: Path | None = None) -> str:
        who = ["-c", "user.name=test", "-c", "user.email=test@localhost"]
        command = ["git", *who, *arguments]
        return subprocess.run(command, cwd=cwd or self.folder, check=True, capture_output=True, text=True, timeout=60).stdout

    def commit(self) -> list[str]:
        """The files that were changed since the last time."""
        self.git("add", "--all")
        touched = self.git("diff", "--cached", "--name-only").splitlines()
        self.git("commit", "--quiet", "--allow-empty", "-m", "A step")
        return touched

    def write(self, name: str, text: str) -> None:
        assert not (self.folder / name).exists()
        (self.folder / name).write_text(text)


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Copy:
    return Copy(tmp_path_factory.mktemp("extending") / "project")


def listed(what: str, name: str) -> list[str]:
    """The files of a row of CONTRIBUTING's table, for a new thing of this name."""
    (row,) = [line for line in (ROOT / "CONTRIBUTING.md").read_text().splitlines() if line.startswith(f"| {what} |")]
    _, _, count, files, _ = row.split("|")
    paths = re.findall(r"`([^`]+)`", files)
    assert int(count) == len(paths)
    return sorted(path.replace("NAME", name) for path in paths)


def test_a_metric_takes_the_files_of_the_table(copy: Copy, tmp_path: Path) -> None:
    copy.write("pennet/metrics/glow.py", METRIC)
    catalogue = copy.folder / "pennet/metrics/catalogue.py"
    replace(catalogue, "from pennet.metrics.lpips", "from pennet.metrics.glow import GLOW\nfrom pennet.metrics.lpips")
    replace(catalogue, "KID)", "KID, GLOW)")
    copy.write("docs/metrics/glow.md", PAGE)
    copy.write("tests/metrics/test_glow.py", TEST.format(name="glow"))
    assert copy.commit() == listed("a metric", "glow")

    truth = np.full((16, 16, 3), 51, np.uint8)
    hole = np.zeros((16, 16), np.uint8)
    hole[4:8, 4:8] = 255
    for folder, picture in {"truth": truth, "made": truth, "masks": hole}.items():
        (tmp_path / folder).mkdir()
        Image.fromarray(picture).save(tmp_path / folder / "a.png")
    paths = [str(tmp_path / name) for name in ("truth", "made", "masks", "report.json")]
    words = ["evaluate", *paths[:2], "--masks", paths[2], "--json", paths[3], "--extractor", "none", "--lpips", "none"]
    result = run(copy.folder, "python", "-m", "pennet", *words)
    assert result.returncode == 0, result.stderr
    glow = json.loads((tmp_path / "report.json").read_text())["overall"]["glow"]
    assert (glow["value"], glow["better"]) == (pytest.approx(0.2), "higher")
    assert re.search(r"glow ↑ +│ +0\.200 ", result.stdout)


def test_a_mask_takes_the_files_of_the_table(copy: Copy, tmp_path: Path) -> None:
    copy.write("pennet/masks/stripes.py", MASK)
    line = '    MaskKind("irregular"'
    replace(
        copy.folder / "pennet/masks/__init__.py",
        line,
        f'    MaskKind("stripes", draw="pennet.masks.stripes:stripes"),\n{line}',
    )
    row = "| `outpainting` |"
    replace(copy.folder / "docs/masks.md", row, f"| `stripes` | every other column | an example | ours | 1 |\n{row}")
    copy.write("tests/masks/test_stripes.py", TEST.format(name="stripes"))
    assert copy.commit() == listed("a kind of mask", "stripes")

    path = tmp_path / "mask.png"
    result = run(copy.folder, "python", "-m", "pennet", "mask", "stripes", str(path), "--height", "8", "--width", "6")
    assert result.returncode == 0, result.stderr
    assert read_mask(path).mean() == 0.5


def test_methods_take_the_files_of_the_table(copy: Copy) -> None:
    params = copy.folder / "params.yaml"
    change_params(copy.folder, SMALL | {"methods": {"learned": [], "classical": ["mean"]}})
    change_params(copy.folder, {"masks": {"protocols": ["stripes"]}})
    copy.commit()

    copy.write("pennet/classical/grey.py", FILL)
    line = '    ClassicalMethod("mean"'
    methods = copy.folder / "pennet/methods.py"
    replace(methods, line, f'    ClassicalMethod("grey", fill="pennet.classical.grey:fill_with_grey"),\n{line}')
    change_params(copy.folder, {"methods": {"classical": ["grey", "mean"]}})
    copy.write("tests/classical/test_grey.py", TEST.format(name="grey"))
    assert copy.commit() == listed("a classical method", "grey")

    copy.write("pennet/config/flat.py", CONFIG)
    copy.write("pennet/models/flat.py", MODEL)
    copy.write("pennet/recipes/flat.py", RECIPE)
    parts = (
        'parameters="pennet.config.flat:FlatConfig", generator="pennet.models.flat:Flat.from_config",'
        ' recipe="pennet.recipes.flat:FlatRecipe"'
    )
    replace(methods, line, f'    LearnedMethod("flat", {parts}),\n{line}')
    change_params(copy.folder, {"methods": {"learned": ["flat"]}, "recipes": {"flat": FLAT}})
    copy.write("tests/recipes/test_flat.py", TEST.format(name="flat"))
    assert copy.commit() == listed("a learned method", "flat")

    result = run(copy.folder, "python", "-m", "dvc", "repro", timeout=600)
    assert result.returncode == 0, params.read_text() + result.stderr
    table = (copy.folder / "reports/terrain/comparison/comparison.md").read_text()
    assert all(f"| {method} |" in table for method in ("flat", "grey", "mean"))
    assert "glow ↑" in table
