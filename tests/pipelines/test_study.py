"""A study: a profile of its own, results that come back, and a project that stays as it was."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pipelines.clone import bring_trainings, check_out
from pipelines.identity import digest
from tests.conftest import make
from tests.project import ROOT, SMALL, make_project, run

TINY = """
methods:
  learned: []
  classical: [mean]
sources:
  terrain:
    data_set: packed
    archives: [own/photos.zip]
tracking:
  experiment: tiny-study
"""

TRAINS = """
extends: tiny
methods:
  learned: [pennet]
  classical: []
"""
HEIR = """
extends: trains
methods:
  learned: [pennet, milder]
train:
  log_every_steps: 2
evaluate:
  sheet_images: 2
recipes:
  milder: {extends: pennet, adversarial_weight: 0.01}
"""
TRIAL = "terrain/pennet/seed-2019"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with a profile `tiny` of classical methods, committed."""
    folder = make_project(tmp_path_factory.mktemp("study"), SMALL)
    (folder / "own").mkdir()
    shutil.move(folder / "data/embedded/terrain-256.zip", folder / "own/photos.zip")  # in no commit, as people's own are
    (folder / ".gitignore").open("a").write("/own/\n")
    (folder / "profiles").mkdir()
    for name, text in {"tiny": TINY, "trains": TRAINS, "heir": HEIR}.items():
        (folder / f"profiles/{name}.yaml").write_text(text)
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


@pytest.mark.slow
def test_study_trains_only_what_the_studies_that_it_extends_have_not(project: Path) -> None:
    trains, heir = (make(project, "study", f"PROFILE={name}", timeout=400) for name in ("trains", "heir"))
    assert trains.returncode == heir.returncode == 0, trains.stdout + heir.stdout
    assert "starts with" not in trains.stdout
    assert f"heir starts with what trains has trained: models/{TRIAL}" in heir.stdout
    assert "pennet on terrain: trained already; nothing that decides the weights has changed" in heir.stdout
    assert "milder on terrain: 4 steps ->" in heir.stdout
    first, second = (project / ".studies" / name for name in ("trains", "heir"))
    for file in (f"models/{TRIAL}/generator.safetensors", "reports/terrain/methods/pennet/seed-2019/cost.json"):
        assert (first / file).read_bytes() == (second / file).read_bytes()
    assert len(list(second.glob("checkpoints/*/step-*.pt"))) == len(list(first.glob("checkpoints/*/step-*.pt"))) > 0
    assert (project / "reports/studies/heir/terrain/comparison/comparison.md").read_text().count("| milder |")
    timings = (second / "reports/terrain/timing.md").read_text()
    assert "| pennet |" in timings  # what it took where it was trained


def trained(study: Path, method: str, seed: int, weights: str, *, whole: bool = True) -> None:
    """Files as a training leaves them."""
    model = study / f"models/terrain/{method}/seed-{seed}"
    report = study / f"reports/terrain/methods/{method}/seed-{seed}"
    identity = {"method": method, "weights": weights}
    timing = study / "checkpoints" / digest(identity) / "timing.json"
    files = {model / "generator.safetensors": weights, model / "config.json": "{}", timing: weights}
    files |= {report / "cost.json": weights, report / "history.csv": weights, report / "report.json": weights}
    files |= {model / "identity.json": json.dumps(identity)} if whole else {}
    for path, text in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def test_finished_trainings_are_brought_and_none_is_overwritten(tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    trained(old, "pennet", 1, "from old")
    trained(old, "pennet", 2, "from old, interrupted", whole=False)
    trained(old, "ca", 1, "from old")
    trained(old, "gntipt", 1, "not in the profile")
    trained(new, "ca", 1, "its own")
    own = {path.relative_to(new).as_posix() for path in new.rglob("*") if path.is_file()}
    params = {"datasets": ["terrain"], "methods": {"learned": ["pennet", "ca", "milder"]}, "seeds": [1, 2]}
    before = {path: path.read_text() for path in old.rglob("*") if path.is_file()}
    assert bring_trainings(old, new, params) == ["models/terrain/pennet/seed-1"]
    assert {path: path.read_text() for path in old.rglob("*") if path.is_file()} == before

    timing = digest({"method": "pennet", "weights": "from old"})
    new_files = {path.relative_to(new).as_posix() for path in new.rglob("*") if path.is_file()} - own
    assert new_files == {
        f"checkpoints/{timing}/timing.json",
        "models/terrain/pennet/seed-1/config.json",
        "models/terrain/pennet/seed-1/generator.safetensors",
        "models/terrain/pennet/seed-1/identity.json",
        "reports/terrain/methods/pennet/seed-1/cost.json",
        "reports/terrain/methods/pennet/seed-1/history.csv",
    }
    assert (new / "models/terrain/ca/seed-1/generator.safetensors").read_text() == "its own"
    assert (new / "reports/terrain/methods/ca/seed-1/cost.json").read_text() == "its own"
    assert bring_trainings(old, new, params) == []
    assert bring_trainings(tmp_path / "none", new, params) == []


@pytest.mark.parametrize("killed", [False, True])
def test_results_of_a_study_outlive_a_new_checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, killed: bool) -> None:
    """git holds the quick profile's lock file and reports; a study that goes on has its own."""
    project, study = tmp_path / "project", tmp_path / "study"
    (project / "reports").mkdir(parents=True)
    files = {"dvc.lock": "quick", "reports/cost.json": "quick", "code.py": "old", ".dvc/config": ""}
    for name, text in files.items():
        (project / name).parent.mkdir(exist_ok=True)
        (project / name).write_text(text)
    subprocess.run(["git", "init", "--quiet", str(project)], check=True)
    _commit(project)
    monkeypatch.chdir(project)
    commits = []
    for text in ("older", "new"):
        (project / "code.py").write_text(text)
        _commit(project)
        commits.append(subprocess.check_output(["git", "rev-parse", "HEAD"], text=True).strip())

    check_out(study, commits[0])
    assert (study / "reports/cost.json").read_text() == "quick"
    (study / "dvc.lock").write_text("the study's")
    (study / "reports/cost.json").write_text("the study's")
    (study / "reports/fresh.md").write_text("the study's")
    if killed:  # after the checkout, before its results are put back
        (study / "reports").rename(study / ".reports-of-the-study")
        (study / "reports").mkdir()
        (study / "reports/cost.json").write_text("quick")

    check_out(study, commits[1])
    assert (study / "code.py").read_text() == "new"
    for name in ("dvc.lock", "reports/cost.json", "reports/fresh.md"):
        assert (study / name).read_text() == "the study's"
    assert not list(study.glob(".*-of-the-study"))


def test_unknown_profile_is_named_with_those_there_are(project: Path) -> None:
    result = run(project, "python", "-m", "pipelines.study", "tyni")
    assert result.returncode == 1
    assert "profiles/tyni.yaml does not exist; known profiles are heir, tiny, trains" in result.stderr
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
