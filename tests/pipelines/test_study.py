"""A study: a profile of its own, results that come back, and a project that stays as it was."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import make
from tests.project import SMALL, change_params, make_project, run


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with a profile `tiny` of classical methods, committed."""
    folder = make_project(tmp_path_factory.mktemp("study"))
    original = (folder / "params.yaml").read_text()
    tracking = {"experiment": "tiny-study"}
    change_params(folder, SMALL | {"methods": {"learned": [], "classical": ["mean"]}, "tracking": tracking})
    (folder / "profiles").mkdir()
    (folder / "params.yaml").rename(folder / "profiles/tiny.yaml")
    (folder / "params.yaml").write_text(original)
    _commit(folder)
    (folder / ".venv").symlink_to(sys.prefix)
    return folder


def _commit(folder: Path) -> None:
    git = ["git", "-c", "user.name=test", "-c", "user.email=test@localhost", "-C", str(folder)]
    subprocess.run([*git, "add", "."], check=True)
    subprocess.run([*git, "commit", "--quiet", "-m", "Changes"], check=True)


@pytest.mark.slow
def test_study_leaves_its_report_and_its_runs_and_nothing_else(project: Path) -> None:
    for _ in range(2):  # again: nothing is computed twice, nothing is lost
        result = make(project, "study", "PROFILE=tiny", timeout=400)
        assert result.returncode == 0, result.stdout
    assert "Data and pipelines are up to date." in result.stdout
    table = (project / "reports/studies/tiny/terrain/comparison/comparison.md").read_text()
    assert "| mean |" in table
    assert (project / "reports/studies/tiny/terrain/plots/metrics.png").exists()
    status = subprocess.run(["git", "status", "--porcelain"], cwd=project, capture_output=True, text=True, check=True)
    assert set(status.stdout.splitlines()) == {"?? .venv", "?? reports/"}

    import mlflow

    mlflow.set_tracking_uri(f"sqlite:///{project}/mlflow.db")
    (found,) = mlflow.search_runs(experiment_names=["tiny-study-terrain"], output_format="list")
    assert found.data.tags["method"] == "mean"
    assert "test/l1_hole" in found.data.metrics


def test_unknown_profile_is_named_with_those_there_are(project: Path) -> None:
    result = run(project, "python", "-m", "pipelines.study", "tyni")
    assert result.returncode == 1
    assert "profiles/tyni.yaml does not exist; known profiles are tiny" in result.stderr
    assert not (project / ".studies/tyni").exists()


def test_uncommitted_changes_are_refused(project: Path) -> None:
    before = (project / "Makefile").read_text()
    try:
        (project / "Makefile").write_text(before + "\n")
        result = run(project, "python", "-m", "pipelines.study", "tiny")
    finally:
        (project / "Makefile").write_text(before)
    assert result.returncode == 1
    assert "not committed: M Makefile; a study is of a commit" in result.stderr
