"""What a plain `pip install pennet` brings, and that it is enough to fill a hole."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterable
from importlib.metadata import Distribution, distribution, packages_distributions
from pathlib import Path

import numpy as np
import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from PIL import Image

from pennet.config import MethodConfig
from pennet.errors import UserError
from pennet.extras import require
from pennet.generator_files import save_generator
from pennet.methods import build_generator
from tests.configs import small_ca, small_gntipt, small_recipe
from tests.project import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
NEEDLESS = (
    "cv2",
    "pandas",
    "scipy",
    "skimage",
    "lpips",
    "torchvision",
    "torch_fidelity",
    "matplotlib",
    "mlflow",
    "prefect",
    "dvc",
)
"""What nobody needs to fill a hole."""


def closure(requirements: Iterable[str]) -> dict[str, Distribution]:
    """The installed distributions that requirements demand, at any depth, by canonical name; `pennet` itself is left out."""
    found: dict[str, Distribution] = {}
    waiting, seen = [(Requirement(text), "") for text in requirements], set()
    while waiting:
        requirement, extra = waiting.pop()
        name = canonicalize_name(requirement.name)
        wanted = (name, frozenset(requirement.extras))
        applies = requirement.marker is None or requirement.marker.evaluate({"extra": extra})
        if not applies or wanted in seen or name == "pennet":
            continue
        seen.add(wanted)
        found[name] = distribution(name)
        for text in found[name].requires or []:
            waiting += [(Requirement(text), extra) for extra in ("", *requirement.extras)]
    return found


def link(distribution: Distribution, site_packages: Path) -> None:
    """Puts a distribution's files into another environment, as links."""
    for file in distribution.files or []:
        target = site_packages / file
        if ".." not in file.parts and "__pycache__" not in file.parts:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.symlink_to(file.locate())


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy: setuptools leaves its own folders beside the source."""
    source = tmp_path_factory.mktemp("source")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    for name in ("pennet", "pipelines"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*pip, "--wheel-dir", source / "dist", source], check=True, timeout=120)
    return next((source / "dist").iterdir())


@pytest.fixture(scope="module")
def empty_environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment that holds the wheel, what its metadata demands without any extra, and nothing else."""
    folder = tmp_path_factory.mktemp("environment")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True, timeout=60)
    install = [
        sys.executable,
        "-m",
        "pip",
        "--quiet",
        "--python",
        folder / "bin" / "python",
        "install",
        "--no-index",
        "--no-deps",
    ]
    subprocess.run([*install, wheel], check=True, timeout=120)
    site_packages = next(folder.glob("lib/*/site-packages"))
    metadata = Distribution.at(next(site_packages.glob("pennet-*.dist-info")))
    for needed in closure(metadata.requires or []).values():
        link(needed, site_packages)
    return folder


@pytest.mark.slow
def test_wheel_holds_the_library_alone(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert {re.sub(r"-.*\.", "-*.", name.split("/")[0]) for name in names} == {"pennet", "pennet-*.dist-info"}
    modules = {path.relative_to(ROOT).as_posix() for path in (ROOT / "pennet").rglob("*.py")}
    beside = {f"pennet/examples/{file.name}" for file in (ROOT / "pennet/examples").iterdir()}
    beside |= {f"pennet/weights/default/{file.name}" for file in (ROOT / "pennet/weights/default").iterdir()}
    assert {name for name in names if name.startswith("pennet/")} == {*modules, *beside, "pennet/py.typed"}


@pytest.mark.slow
@pytest.mark.parametrize("command", [["pennet"], ["python", "-m", "pennet"]], ids=["script", "module"])
def test_wheel_fills_a_hole_in_an_empty_environment(empty_environment: Path, tmp_path: Path, command: list[str]) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (48, 40, 3), dtype=np.uint8)
    hole = np.zeros((48, 40), np.uint8)
    hole[10:30, 5:25] = 255
    Image.fromarray(picture).save(tmp_path / "photo.png")
    Image.fromarray(hole).save(tmp_path / "mask.png")
    recipe = small_recipe()
    save_generator(build_generator(recipe), recipe, tmp_path / "model")
    program = [str(empty_environment / "bin" / command[0]), *command[1:]]
    arguments = ["inpaint", "photo.png", "mask.png", "-o", "out.png", "--model", "model", "--device", "cpu"]
    result = subprocess.run([*program, *arguments], cwd=tmp_path, env={}, capture_output=True, text=True, timeout=120)
    assert result.returncode == 0, result.stderr
    filled = np.array(Image.open(tmp_path / "out.png"))
    assert np.array_equal(filled[hole == 0], picture[hole == 0])
    assert not np.array_equal(filled, picture)


@pytest.mark.slow
def test_evaluation_in_an_empty_environment_names_its_extra(empty_environment: Path, tmp_path: Path) -> None:
    command = [str(empty_environment / "bin" / "pennet"), "evaluate", "real", "fake"]
    result = subprocess.run(command, cwd=tmp_path, env={}, capture_output=True, text=True, timeout=120)
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr == 'pennet: cv2, scipy: not installed; pip install "pennet[metrics]"\n'


@pytest.mark.parametrize("recipe", [small_recipe(), small_ca(), small_gntipt()], ids=lambda recipe: recipe.method)
def test_filling_a_hole_imports_nothing_that_it_does_not_need(tmp_path: Path, recipe: MethodConfig) -> None:
    """Here all of it is installed, so that nothing but the code keeps it out."""
    Image.new("RGB", (40, 40), (9, 99, 199)).save(tmp_path / "photo.png")
    mask = Image.new("L", (40, 40))
    mask.paste(255, (8, 8, 24, 24))
    mask.save(tmp_path / "mask.png")
    save_generator(build_generator(recipe), recipe, tmp_path / "model")
    code = f"""
import sys
sys.argv = "pennet inpaint photo.png mask.png -o out.png --model model --device cpu".split()
sys.path.insert(0, {str(ROOT)!r})
from pennet.cli import main
try:
    main()
except SystemExit as end:
    print(sorted(set(sys.modules) & set({NEEDLESS!r})), end.code)
"""
    result = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert result.stdout.splitlines()[-1] == "[] 0", result.stderr


def test_missing_modules_are_named_with_their_extra() -> None:
    require("metrics", "numpy", "json")
    with pytest.raises(UserError, match=r'^nowhere, nor_here: not installed; pip install "pennet\[metrics\]"$'):
        require("metrics", "nowhere", "numpy", "nor_here")


def test_extras_bring_the_modules_that_are_asked_for_in_their_name() -> None:
    distributions_of = packages_distributions()
    asked = {
        (extra, module)
        for path in (ROOT / "pennet").rglob("*.py")
        for extra, modules in re.findall(r'require\("(\w+)", ([^)]+)\)', path.read_text())
        for module in re.findall(r'"(\w+)"', modules)
    }
    assert {extra for extra, _ in asked} == {"metrics", "classical", "data", "studio", "onnx", "video", "ops"}
    for extra, module in asked:
        names = {canonicalize_name(Requirement(text).name) for text in PROJECT["optional-dependencies"][extra]}
        assert names & {canonicalize_name(name) for name in distributions_of[module]}, (extra, module)


def test_lock_holds_every_distribution_that_make_setup_installs() -> None:
    extras = PROJECT["optional-dependencies"]
    parts = [PROJECT["dependencies"], *(extras[name] for name in ("metrics", "classical", "data", "ops", "dev"))]
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    locked = {canonicalize_name(line.split("==")[0]): line.split("==")[1] for line in lines}
    installed = {name: found.version for name, found in closure(text for part in parts for text in part).items()}
    assert {name: version for name, version in installed.items() if locked.get(name) != version} == {}
