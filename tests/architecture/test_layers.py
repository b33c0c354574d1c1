"""The layers: flows -> stages -> library, one direction."""

import subprocess
import sys
from pathlib import Path

import pytest

from pipelines.meaning import ROOT

ALLOWED_IMPORTERS = {
    "prefect": {
        "pipelines/flows.py",
        *(f"pipelines/running/{name}.py" for name in ("artifacts", "slots", "tasks", "temporary_server")),
    },
    "dvc": {"pipelines/dag.py"},
    "mlflow": {
        "pennet/inpainting/registered.py",  # inside a function: `models:/NAME@alias` names a model as a folder does
        *(path.relative_to(ROOT).as_posix() for path in (ROOT / "pipelines/tracking").glob("*.py")),
    },
    "ruamel": {"pipelines/params.py"},
}


def test_import_contracts_hold() -> None:
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert result.returncode == 0, result.stdout


@pytest.mark.parametrize("tool", ALLOWED_IMPORTERS)
def test_each_tool_has_one_importer(tool: str) -> None:
    importers = {
        path.relative_to(ROOT).as_posix()
        for folder in ("pennet", "pipelines")
        for path in (ROOT / folder).rglob("*.py")
        if any(line.strip().startswith((f"import {tool}", f"from {tool}")) for line in path.read_text().splitlines())
    }
    assert importers <= ALLOWED_IMPORTERS[tool]
    assert importers


@pytest.mark.parametrize(
    "module",
    [
        "pennet.cli",
        "pipelines.download",
        "pipelines.prepare",
        "pipelines.train",
        "pipelines.evaluate",
        "pipelines.record",
        "pipelines.promote",
        "pipelines.flows",
    ],
)
def test_module_starts_without_heavy_imports(module: str) -> None:
    heavy = {"torch", "torchvision", "mlflow", "pandas", "skimage", "dvc"}
    code = f"import sys, {module}; print(sorted(set(sys.modules) & {heavy}))"
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60)
    assert result.stdout.strip() == "[]"


def test_no_python_file_is_longer_than_350_lines() -> None:
    files = [path for folder in ("pennet", "pipelines") for path in (ROOT / folder).rglob("*.py")]
    long = {path.name: lines for path in files if (lines := len(path.read_text().splitlines())) > 350}
    assert not long, long
