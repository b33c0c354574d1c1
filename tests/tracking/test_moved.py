"""A project that was moved, renamed or copied: its artifacts are found, and nothing is written where it came from."""

import contextlib
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import mlflow
import pytest
from mlflow.tracking._tracking_service import utils

from pipelines import layout
from pipelines.tracking.move import LOCATIONS, SERVED, bring_home
from pipelines.tracking.record import record
from tests.e2e.test_mlflow_ui import wait_until_it_answers
from tests.project import environment, run
from tests.stack.stack import free_port
from tests.tracking.stores import TRIAL, store, the_run

WEIGHTS = layout.model_dir(*TRIAL) / "generator.safetensors"


@pytest.fixture(autouse=True)
def every_command_is_a_process_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """MLflow remembers where a run's artifacts are; in a process that lives on, that is where they were."""
    monkeypatch.setattr(utils, "_artifact_repos_cache", Forgetful())


class Forgetful(dict):
    def get(self, key, default=None):
        return default


@pytest.fixture(scope="module")
def original(made: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Recorded; leave it as you found it."""
    folder = tmp_path_factory.mktemp("original") / "my project"
    shutil.copytree(made, folder)
    with contextlib.chdir(folder):
        assert record(*TRIAL, store())
    return folder


@pytest.fixture
def copy(original: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "my copy"
    shutil.copytree(original, folder)
    monkeypatch.chdir(folder)
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def locations(project: Path) -> list[str]:
    with sqlite3.connect(project / "mlflow.db") as database:
        columns = [(table, column) for table, names in LOCATIONS.items() for column in names]
        found = [row[0] for table, column in columns for row in database.execute(f"SELECT {column} FROM {table}")]
    return [location for location in found if location and not location.startswith("models:/")]


def assert_artifacts_are_there(version: int = 1) -> None:
    found = mlflow.artifacts.download_artifacts(run_id=the_run().info.run_id, artifact_path="report/report.json")
    assert Path(found).read_bytes() == (layout.report_dir(*TRIAL) / "report.json").read_bytes()
    model = mlflow.artifacts.download_artifacts(f"models:/inpainting-terrain/{version}")
    (weights,) = Path(model, "artifacts").rglob("generator.safetensors")  # those of the code beside it are the package's
    assert weights.read_bytes() == b"weights"


def record_other_weights() -> None:
    WEIGHTS.write_bytes(b"other weights")
    assert record(*TRIAL, store())


def test_no_other_column_of_mlflow_holds_the_path_of_an_artifact(original: Path) -> None:
    places = set()
    with sqlite3.connect(original / "mlflow.db") as database:
        for (table,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
            for _, column, *_ in database.execute(f"PRAGMA table_info({table})").fetchall():
                path = f"%{original}/mlruns%"
                if database.execute(f'SELECT 1 FROM {table} WHERE CAST("{column}" AS TEXT) LIKE ?', [path]).fetchone():
                    places.add((table, column))
    assert places <= {(table, column) for table, names in LOCATIONS.items() for column in names}
    assert len(places) == 4  # a version's source is `models:/ID`, unless somebody registers a folder


def test_a_copy_finds_its_artifacts_and_never_writes_into_the_original(original: Path, copy: Path, capsys) -> None:
    before = contents(original)
    assert not record(*TRIAL, store())  # recorded already, and now true
    said = capsys.readouterr().err
    assert f"paths of artifacts were of {original}/mlruns/ and are of {copy}/mlruns/ now" in said
    assert_artifacts_are_there()
    record_other_weights()
    assert "paths of artifacts" not in capsys.readouterr().err
    assert contents(original) == before
    assert all(location.startswith(f"{copy}/mlruns/") for location in locations(copy) if not location.endswith("/0"))


def test_a_renamed_project_does_not_make_the_old_folder_again(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bring_home(copy / "mlflow.db", served_too=False)
    renamed = copy.with_name("renamed")
    copy.rename(renamed)
    monkeypatch.chdir(renamed)
    record_other_weights()
    assert_artifacts_are_there()
    assert not copy.exists()


def test_a_link_to_the_folder_is_no_other_place(original: Path, tmp_path: Path, capsys) -> None:
    (tmp_path / "link").symlink_to(original)
    before = contents(original)
    bring_home(tmp_path / "link" / "mlflow.db", served_too=True)
    assert capsys.readouterr().err == ""
    assert contents(original) == before


def test_a_store_that_was_copied_alone_is_refused_with_the_remedy(original: Path, copy: Path) -> None:
    before = contents(original)
    shutil.rmtree("mlruns")
    with pytest.raises(ValueError, match=r"came here without its artifacts: those of 2 runs and models are in") as refused:
        record(*TRIAL, store())
    assert "mend tracking.uri" not in str(refused.value)
    pages = run(copy, "python", "-m", "pipelines.ui")
    assert pages.stderr.startswith(f"ui: {copy}/mlflow.db came here without its artifacts")
    assert "give them up with `python -m pipelines.tracking.move`" in pages.stderr

    given_up = run(copy, "python", "-m", "pipelines.tracking.move")
    assert "2 runs and models have none in" in given_up.stdout, given_up.stderr
    assert record(*TRIAL, store())
    assert_artifacts_are_there(version=2)
    assert not record(*TRIAL, store())
    assert contents(original) == before


def test_a_rewriting_that_fails_changes_nothing(copy: Path) -> None:
    before = locations(copy)
    with sqlite3.connect("mlflow.db") as database:
        database.execute(
            "CREATE TRIGGER broken BEFORE UPDATE ON model_versions BEGIN SELECT RAISE(ABORT, 'the disk is full'); END"
        )
    with pytest.raises(sqlite3.Error, match="the disk is full"):
        bring_home(Path("mlflow.db"), served_too=False)
    assert locations(copy) == before


def test_a_store_goes_to_a_server_by_one_command_and_comes_back_by_itself(copy: Path, capsys) -> None:
    for said in (f"paths of artifacts are of {SERVED} now", f"are of {SERVED} already"):
        moved = run(copy, "python", "-m", "pipelines.tracking.move", "--served")
        assert said in moved.stdout, moved.stderr
        assert f"start the server with --artifacts-destination {copy}/mlruns" in moved.stdout
        assert all(location.startswith(SERVED) for location in locations(copy) if not location.endswith("/0"))
    assert not record(*TRIAL, store())
    assert f"were of {SERVED} and are of {copy}/mlruns/ now" in capsys.readouterr().err
    assert_artifacts_are_there()


@contextlib.contextmanager
def served(project: Path) -> Iterator[str]:
    port = free_port()
    options = ["--backend-store-uri", "sqlite:///mlflow.db", "--artifacts-destination", "./mlruns", "--workers", "1"]
    command = [sys.executable, "-m", "mlflow", "server", "--port", str(port), *options]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(command, cwd=project, env=environment(project), start_new_session=True, **quiet) as process:
        try:
            wait_until_it_answers(f"http://127.0.0.1:{port}/health", process)
            yield f"http://127.0.0.1:{port}"
        finally:
            os.killpg(process.pid, 15)
            process.wait(60)


@pytest.mark.slow
@pytest.mark.server
def test_a_project_recorded_through_a_server_can_be_moved(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with served(project) as address:
        assert record(*TRIAL, store(address))
        assert all(location.startswith(SERVED) for location in locations(project) if not location.endswith("/0"))
    renamed = project.with_name("renamed")
    project.rename(renamed)
    monkeypatch.chdir(renamed)
    with served(renamed) as address:
        assert not record(*TRIAL, store(address))
        mlflow.set_tracking_uri(address)
        (found,) = mlflow.search_runs(experiment_names=["test-terrain"], output_format="list")
        report = mlflow.artifacts.download_artifacts(run_id=found.info.run_id, artifact_path="report/report.json")
        assert Path(report).read_bytes() == (layout.report_dir(*TRIAL) / "report.json").read_bytes()
    assert not record(*TRIAL, store())  # without it, too
    assert_artifacts_are_there()
    assert not project.exists()
