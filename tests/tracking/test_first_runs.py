"""Two trainings that begin at once in a store that nobody has used yet."""

import subprocess
import sys
import time
from pathlib import Path

import mlflow
import pytest

from pennet.config import TrackingConfig
from pipelines.tracking import store
from pipelines.tracking.runs import open_run
from tests.project import ROOT, environment

FIRST = """
import sys, time
from pathlib import Path
import mlflow, mlflow.store.tracking.sqlalchemy_store
from pennet.config import TrackingConfig
from pipelines.tracking.runs import open_run

name, uri = sys.argv[1:]
Path(f"{name}.ready").write_text("")
while not Path("go").exists():
    time.sleep(0.001)
open_run("terrain", name, 1, {"method": name}, None, TrackingConfig(uri, "test", "inpainting"))
mlflow.end_run()
"""


def test_two_at_once_make_one_experiment_and_both_land_in_it(tmp_path: Path) -> None:
    uri, names = f"sqlite:///{tmp_path}/mlflow.db", ("pennet", "gntipt")
    variables = environment(tmp_path, PYTHONPATH=str(ROOT))
    both = [subprocess.Popen([sys.executable, "-c", FIRST, name, uri], cwd=tmp_path, env=variables) for name in names]
    deadline = time.monotonic() + 240
    while not all((tmp_path / f"{name}.ready").exists() for name in names) and time.monotonic() < deadline:
        time.sleep(0.01)
    (tmp_path / "go").write_text("")
    assert [process.wait(240) for process in both] == [0, 0]
    mlflow.set_tracking_uri(uri)
    experiment = mlflow.get_experiment_by_name("test-terrain")
    found = mlflow.search_runs([experiment.experiment_id])
    assert sorted(found["tags.method"]) == sorted(names)
    assert experiment.artifact_location == f"{tmp_path}/mlruns/test-terrain"


def test_the_slower_one_of_a_server_does_not_land_in_the_default_experiment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the slower sees: no experiment of that name when it looks, and one when it makes its own."""
    monkeypatch.setattr(store, "is_sqlite", lambda uri: False)
    look, looks = mlflow.MlflowClient.get_experiment_by_name, iter([False])
    monkeypatch.setattr(
        mlflow.MlflowClient, "get_experiment_by_name", lambda *args: (next(looks, True) and look(*args)) or None
    )
    tracking = TrackingConfig(f"sqlite:///{tmp_path}/mlflow.db", "test", "inpainting")
    mlflow.set_tracking_uri(tracking.uri)
    theirs = mlflow.create_experiment("test-terrain")
    run = open_run("terrain", "pennet", 1, {"method": "pennet"}, None, tracking)
    mlflow.end_run()
    assert next(looks, "looked") == "looked"
    assert run.info.experiment_id == theirs
