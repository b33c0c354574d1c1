"""A study: a profile of its own, results that come back, and a project that stays as it was."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import make
from tests.project import ROOT, SMALL, make_project, run

TINY = """
methods:
  learned: []
  classical: [mean]
sources:
  terrain:
    archive: own/photos.zip
tracking:
  experiment: tiny-study
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with a profile `tiny` of classical methods, committed."""
    folder = make_project(tmp_path_factory.mktemp("study"), SMALL)
    (folder / "own").mkdir()
    shutil.move(folder / "data/embedded/terrain-256.zip", folder / "own/photos.zip")  # in no commit, as people's own are
    (folder / ".gitignore").open("a").write("/own/\n")
    (folder / "profiles").mkdir()
    (folder / "profiles/tiny.yaml").write_text(TINY)
    _commit(folder)
    (folder / ".venv").symlink_to(sys.prefix)
    return folder


def _commit(folder: Path) -> None:
    (folder / "README.md").write_text("results\n")
    git = ["git", "-c", "user.name=test", "-c", "user.email=test@localhost", "-C", str(folder)]
    subprocess.run([*git, "add", "."], check=True)
    subprocess.run([*git, "commit", "--quiet", "-m", "Changes"], check=True)


@pytest.mark.slow
def test_study_leaves_its_report_and_its_runs_and_nothing_else(project: Path) -> None:
    for _ in range(2):  # again: nothing is computed twice, nothing is lost, and changed results are no hindrance
        (project / "reports/terrain/comparison").mkdir(parents=True, exist_ok=True)
        (project / "README.md").write_text("other results\n")
        result = make(project, "study", "PROFILE=tiny", timeout=400)
        assert result.returncode == 0, result.stdout
    assert "Data and pipelines are up to date." in result.stdout
    table = (project / "reports/studies/tiny/terrain/comparison/comparison.md").read_text()
    assert "| mean |" in table
    assert (project / "reports/studies/tiny/terrain/plots/metrics.png").exists()
    status = subprocess.run(["git", "status", "--porcelain"], cwd=project, capture_output=True, text=True, check=True)
    assert set(status.stdout.splitlines()) == {" M README.md", "?? .venv", "?? reports/"}

    import mlflow

    mlflow.set_tracking_uri(f"sqlite:///{project}/mlflow.db")
    (found,) = mlflow.search_runs(experiment_names=["tiny-study-terrain"], output_format="list")
    assert found.data.tags["method"] == "mean"
    assert "test/l1_hole" in found.data.metrics
    assert found.info.artifact_uri.startswith(f"{project}/mlruns/tiny-study-terrain/")
    assert {path.name for path in (project / "mlruns").rglob("metrics.json")} == {"metrics.json"}
    assert not (project / ".studies/tiny/mlruns").exists()


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


def test_changed_parameters_of_ones_own_are_refused(project: Path) -> None:
    before = (project / "params.yaml").read_text()
    try:
        (project / "params.yaml").write_text(before.replace("steps: 4", "steps: 5"))
        result = run(project, "python", "-m", "pipelines.study", "tiny")
    finally:
        (project / "params.yaml").write_text(before)
    assert result.returncode == 1
    assert "params.yaml has changes that are in no commit and no profile" in result.stderr


def test_project_without_git_or_of_another_owner_is_one_clear_message(tmp_path: Path) -> None:
    (tmp_path / "profiles").mkdir()
    (tmp_path / "profiles/tiny.yaml").write_text(TINY)
    (tmp_path / "params.yaml").write_text("datasets: [terrain]\n")
    arguments = (tmp_path, "python", "-m", "pipelines.study", "tiny")
    result = run(*arguments, PYTHONPATH=str(ROOT))
    assert result.stderr.startswith(f"study: {tmp_path} is no git repository")
    assert "git init && git add -A && git commit" in result.stderr
    assert result.stderr.count("\n") == 1
    subprocess.run(["git", "init", "--quiet"], cwd=tmp_path, check=True)
    result = run(*arguments, PYTHONPATH=str(ROOT))
    assert result.stderr == f"study: {tmp_path} has no commit yet; commit what there is first\n"
    result = run(*arguments, PYTHONPATH=str(ROOT), GIT_TEST_ASSUME_DIFFERENT_OWNER="1")
    assert result.stderr == (
        f"study: {tmp_path} belongs to another user; run `git config --global --add safe.directory {tmp_path}`\n"
    )
