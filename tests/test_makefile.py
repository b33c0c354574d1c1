"""The Makefile in a folder whose path has a space, and with a virtual environment that was moved."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import make
from tests.pipelines.toy import make_toy
from tests.project import ROOT, environment

TARGETS = ["setup", "demo", "test", "test-fast", "check", "repro", "ui", "up", "study", "readme", "run", "bench", "lock"]
TARGETS += ["promote", "rollback", "serve", "down", "status", "lineage", "move-store", "plots", "faults"]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = make_toy(tmp_path_factory.mktemp("makefile") / "my 1st project")
    (folder / ".venv").symlink_to(sys.prefix)
    return folder


def dry_run(folder: Path, *arguments: str) -> str:
    command = ["make", "-n", *arguments]
    result = subprocess.run(command, cwd=folder, env=environment(folder), capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    return result.stdout


@pytest.mark.parametrize("target", TARGETS)
def test_no_command_holds_the_path_of_the_project(project: Path, target: str) -> None:
    """So nothing can split at its spaces."""
    commands = dry_run(project, "-B", target)
    assert ".venv/bin/" in commands
    assert "my 1st" not in commands


def test_repro_runs_in_a_path_with_a_space(project: Path) -> None:
    result = make(project, "repro")
    assert result.returncode == 0, result.stdout
    assert (project / "table.txt").read_text() == "data\n"
    assert "Data and pipelines are up to date." in make(project, "repro").stdout


def test_stages_find_the_python_of_the_project(project: Path) -> None:
    """DVC's stages are `python -m ...`: make puts the virtual environment first on the path, spaces or not."""
    (project / "which.mk").write_text("include Makefile\n\nwhich:\n\t@command -v python\n")
    assert make(project, "-f", "which.mk", "which").stdout.strip() == f"{project}/.venv/bin/python"


def test_a_virtual_environment_is_made_anew_where_it_was_moved_and_only_there(tmp_path: Path) -> None:
    old, new = tmp_path / "old place", tmp_path / "new place"
    old.mkdir()
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        (old / name).write_bytes((ROOT / name).read_bytes())
    (old / ".venv").mkdir()
    recipe = dry_run(old, "setup").splitlines()
    assert recipe[0].split() == ["python3.11", "-m", "venv", ".venv"]
    subprocess.run(recipe[-1], shell=True, cwd=old, check=True)  # what `make setup` leaves at its end
    assert "Nothing to be done" in dry_run(old, "setup")
    (tmp_path / "link").symlink_to(old)
    assert "Nothing to be done" in dry_run(tmp_path / "link", "setup")
    old.rename(new)
    assert dry_run(new, "setup").splitlines()[0] == "python3.11 -m venv --clear .venv"
    assert "--clear" in dry_run(new, "demo")
