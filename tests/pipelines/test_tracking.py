"""The MLflow record against real stores, good and bad, without a training."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from pennet.config import TrackingConfig
from pennet.cost import Cost, write_cost
from pennet.metrics.report import MetricResult, Report, Settings, write_report
from pipelines import layout, tracking
from pipelines.live import live_run
from pipelines.provenance import provenance
from pipelines.tracking import record
from tests.project import environment, make_project, run

TRIAL = ("terrain", "pennet", 2019)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with the files of one training, which nobody trained."""
    folder = make_project(tmp_path_factory.mktemp("made"))
    report_dir, model_dir = folder / layout.report_dir(*TRIAL), folder / layout.model_dir(*TRIAL)
    composite_dir, data_dir = folder / layout.outputs_dir(*TRIAL) / "composite", folder / layout.prepared_dir("terrain")
    for path in (report_dir, model_dir, composite_dir, data_dir):
        path.mkdir(parents=True)
    l1 = MetricResult("l1_hole", 0.25, None, 2, None, None, "lower", None, [], "ok")
    lpips = MetricResult("lpips_alex", None, None, 0, None, None, "lower", "alex", [], "unavailable: no weights")
    settings = Settings(bootstrap_resamples=10, seed=1, is_splits=1, kid_subsets=1, kid_subset_size=2)
    report = Report(2, 2, 48, 48, settings, {}, {"l1_hole": l1, "lpips_alex": lpips}, {}, None, None)
    write_report(report_dir / "report.json", report)
    write_cost(report_dir / "cost.json", Cost(1, 1, 1, "steps", 0.0))
    pd.DataFrame({"step": [1], "generator": [0.5]}).to_csv(report_dir / "history.csv", index=False)
    for i, path in enumerate([report_dir / "sheet.png", composite_dir / "0000.png"]):
        Image.fromarray(np.full((8, 8, 3), i, np.uint8)).save(path)
    (model_dir / "generator.safetensors").write_bytes(b"weights")
    (model_dir / "config.json").write_text("{}")
    pd.DataFrame({"name": ["a"], "split": ["test"], "index": [0]}).to_csv(data_dir / "manifest.csv", index=False)
    return folder


@pytest.fixture
def project(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "my project"
    shutil.copytree(made, folder)
    monkeypatch.chdir(folder)
    return folder


def here() -> str:
    """Absolute: MLflow keeps one open store a URI in a process, whatever folder that process is in by then."""
    return f"sqlite:///{Path.cwd()}/mlflow.db"


def store(uri: str | None = None) -> TrackingConfig:
    return TrackingConfig(uri=uri or here(), experiment="test", registered_model="inpainting")


def the_run():
    mlflow.set_tracking_uri(here())
    experiment = mlflow.get_experiment_by_name("test-terrain")
    (found,) = mlflow.MlflowClient().search_runs([experiment.experiment_id])
    return found


def dead_server() -> str:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{unused.getsockname()[1]}"


def bad_store(kind: str) -> str:
    if kind == "folder":
        Path("mlflow.db").mkdir()
    if kind == "text":
        Path("mlflow.db").write_text("no database " * 100)
    if kind == "file for a folder":
        Path("stores").write_text("")
        return "sqlite:///stores/mlflow.db"
    return {"no driver": "postgresql://127.0.0.1:9/mlflow", "dead server": dead_server()}.get(kind, here())


@pytest.mark.parametrize("kind", ["folder", "text", "file for a folder", "no driver", "dead server"])
def test_an_unusable_store_is_reported_in_seconds_and_the_training_goes_on(project: Path, capsys, kind: str) -> None:
    uri = bad_store(kind)
    started = time.monotonic()
    with live_run(*TRIAL, store(uri)) as live:
        live.metrics(1, {"train/generator": 0.5})
    assert time.monotonic() - started < 40
    assert f"warning: cannot write to the MLflow store {uri}" in capsys.readouterr().err
    with pytest.raises(ValueError, match=r"cannot record in .*; mend tracking.uri and run it again"):
        record(*TRIAL, store(uri))


def test_recording_again_completes_a_run_and_duplicates_nothing(project: Path) -> None:
    assert record(*TRIAL, store())
    first = the_run()
    assert first.data.tags["test.lpips_alex.status"] == "unavailable: no weights"
    client = mlflow.MlflowClient()
    pictures = {item.path for item in client.list_artifacts(first.info.run_id, "images")}
    assert not record(*TRIAL, store())

    client.delete_tag(first.info.run_id, tracking.RECORDED_TAG)  # as after a kill
    assert record(*TRIAL, store())
    assert {item.path for item in client.list_artifacts(first.info.run_id, "images")} == pictures
    assert len(client.search_model_versions("name = 'inpainting-terrain'")) == 1

    Path(layout.model_dir(*TRIAL), "generator.safetensors").write_bytes(b"other weights")
    Image.fromarray(np.full((8, 8, 3), 9, np.uint8)).save(layout.report_dir(*TRIAL) / "sheet.png")
    assert record(*TRIAL, store())
    new = {item.path for item in client.list_artifacts(first.info.run_id, "images")} - pictures
    assert new
    assert all("test_sheet+step+1+" in path for path in new)
    versions = client.search_model_versions("name = 'inpainting-terrain'")
    assert len({version.tags["pennet.weights"] for version in versions}) == len(versions) == 2
    latest = client.get_model_version_by_alias("inpainting-terrain", "latest-pennet")
    assert int(latest.version) == 2


def test_a_run_that_was_killed_before_its_parameters_gets_them(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(mlflow, "log_params", lambda parameters: None)
        with live_run(*TRIAL, store()):
            pass
    assert the_run().data.params == {}
    with live_run(*TRIAL, store()):
        pass
    assert the_run().data.params["prepare.image_size_px"] == "48"


def test_dirty_is_what_can_change_a_result(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    origin = tmp_path / "origin"
    for name in ("pennet/a.py", "params.yaml", "dvc.lock", "reports/table.md", "README.md", "docs/a.md"):
        (origin / name).parent.mkdir(parents=True, exist_ok=True)
        (origin / name).write_text("first")
    git = ["git", "-c", "user.name=test", "-c", "user.email=test@localhost"]
    for arguments in (["init", "--quiet"], ["add", "."], ["commit", "--quiet", "-m", "first"]):
        subprocess.run([*git, *arguments], cwd=origin, check=True)
    subprocess.run(["git", "clone", "--quiet", str(origin), str(tmp_path / "clone")], check=True)
    monkeypatch.chdir(tmp_path / "clone")

    def dirty() -> str:
        return provenance()["git.dirty"]

    Path("dvc.lock").unlink()
    Path("reports/table.md").write_text("second")
    Path("README.md").write_text("second")
    Path("notes.txt").write_text("untracked, no module")
    assert dirty() == "false"
    Path("pennet/new.py").write_text("untracked module")
    assert dirty() == "true"
    Path("pennet/new.py").unlink()
    Path("params.yaml").write_text("second")
    assert dirty() == "true"


STAGE = """
import time
from pathlib import Path
from pennet.config import TrackingConfig
from pennet.errors import UserError
from pipelines.params import stage_main
from pipelines.live import live_run

def run(dataset: str, method: str, seed: int, *, tracking: TrackingConfig) -> None:
    with live_run(dataset, method, seed, TrackingConfig("sqlite:///mlflow.db", "test", "inpainting")):
        Path("ready").write_text("")
        if Path("fail").exists():
            raise UserError("loss is nan")
        time.sleep(300)

stage_main(run)
"""


def test_sigterm_leaves_the_run_killed_and_a_failure_leaves_it_failed(project: Path) -> None:
    (project / "waits.py").write_text(STAGE)
    command = [sys.executable, "waits.py", *map(str, TRIAL)]
    variables = environment(project, PYTHONPATH=str(project))
    with subprocess.Popen(command, cwd=project, env=variables) as process:
        deadline = time.monotonic() + 120
        while not (project / "ready").exists() and time.monotonic() < deadline:
            assert process.poll() is None
            time.sleep(0.1)
        os.kill(process.pid, signal.SIGTERM)
        assert process.wait(60) == 143
    killed = the_run()
    assert killed.info.status == "KILLED"
    assert killed.data.tags["pennet.error"] == "stopped: SystemExit(143)"

    (project / "fail").write_text("")
    failed = run(project, "python", "waits.py", *map(str, TRIAL), PYTHONPATH=str(project))
    assert (failed.returncode, failed.stderr.splitlines()[-1]) == (1, "waits terrain pennet 2019: loss is nan")
    assert the_run().info.status == "FAILED"
