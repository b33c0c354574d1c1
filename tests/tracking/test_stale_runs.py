"""Runs that say RUNNING: their processes really killed, a training through a real `dvc repro`."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import mlflow
import psutil
import pytest

from pennet.config import TrackingConfig
from pipelines.tracking.live import live_run
from pipelines.tracking.stale import ERROR_TAG, PROCESS_TAG, close_dead_runs, this_process
from tests.pipelines.test_process import still_alive
from tests.project import environment, make_project, run

ENDLESS = {
    "methods": {"learned": ["gntipt"], "classical": []},
    "prepare": {"image_size_px": 48},
    "train": {"steps": 10**9, "batch_size": 2, "log_every_steps": 1, "checkpoint_every_steps": 5, "num_samples": 1},
    "recipes": {"gntipt": {"base_width": 4, "discriminator_width": 4}},
    "runtime": {"num_threads": 1},
}


def test_only_a_run_whose_process_is_gone_from_this_machine_is_closed(tmp_path: Path) -> None:
    mlflow.set_tracking_uri(f"sqlite:///{tmp_path}/mlflow.db")
    client, experiment = mlflow.MlflowClient(), mlflow.create_experiment("stale")
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        started = psutil.Process(process.pid).create_time()
        process.kill()
    machine, number, start = this_process().rsplit(maxsplit=2)
    owners = {
        "dead": f"{machine} {process.pid} {started:.2f}",
        "another has its number now": f"{machine} {number} {float(start) - 3600:.2f}",
        "alive": this_process(),
        "elsewhere": f"{machine}-2 {process.pid} {started:.2f}",
        "of before": None,
    }
    for name, owner in owners.items():
        client.create_run(experiment, run_name=name, tags={} if owner is None else {PROCESS_TAG: owner})
    finished = client.create_run(experiment, run_name="finished", tags={PROCESS_TAG: owners["dead"]})
    client.set_terminated(finished.info.run_id)

    lines = "\n".join(close_dead_runs(experiment))
    states = {run.info.run_name: run.info.status for run in client.search_runs([experiment])}
    assert states == {
        "dead": "KILLED",
        "another has its number now": "KILLED",
        "alive": "RUNNING",
        "elsewhere": "RUNNING",
        "of before": "RUNNING",
        "finished": "FINISHED",
    }
    (dead,) = client.search_runs([experiment], "tags.`mlflow.runName` = 'dead'")
    assert dead.data.tags[ERROR_TAG].startswith(f"its process {process.pid} on {machine} is gone")
    assert dead.info.end_time == dead.info.start_time  # the time that it was dead is not its duration
    assert f"says RUNNING on another machine, {machine}-2; left as it is" in lines
    assert "it began before runs did; left as it is" in lines
    assert len(lines.splitlines()) == 4
    assert len(close_dead_runs(experiment)) == 2


def test_the_next_training_closes_what_a_killed_one_left_and_one_that_went_on_has_no_reason_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipelines.tracking.live.describe_experiment", lambda *_: None)  # it reads prepared data
    tracking = TrackingConfig(f"sqlite:///{tmp_path}/mlflow.db", "test", "inpainting")
    with pytest.raises(OSError, match="full"), live_run("terrain", "pennet", 1, {"seed": "1"}, tracking):
        raise OSError("full")
    client, failed = mlflow.MlflowClient(), mlflow.last_active_run()
    dead = client.create_run(failed.info.experiment_id, tags={PROCESS_TAG: this_process().rsplit(maxsplit=1)[0] + " 0"})
    assert (failed.info.status, failed.data.tags[ERROR_TAG]) == ("FAILED", "full")
    with live_run("terrain", "pennet", 1, {"seed": "1"}, tracking):
        pass
    assert client.get_run(dead.info.run_id).info.status == "KILLED"
    mended = client.get_run(failed.info.run_id)
    assert mended.info.status == "FINISHED"
    assert ERROR_TAG not in mended.data.tags


def statuses(project: Path) -> list[str]:
    mlflow.set_tracking_uri(f"sqlite:///{project}/mlflow.db")
    experiment = mlflow.get_experiment_by_name("pennet-studio-terrain")
    found = mlflow.MlflowClient().search_runs([experiment.experiment_id]) if experiment else []
    return [run.info.status for run in found]


def killed_in_the_middle(project: Path, how: signal.Signals) -> None:
    """`dvc repro`, ended with all its children by one signal as soon as its training has written another checkpoint."""
    before = set(project.glob("checkpoints/*/step-*.pt"))
    command = [sys.executable, "-m", "dvc", "repro", "train@terrain-gntipt-2019"]
    with subprocess.Popen(command, cwd=project, env=environment(project), start_new_session=True) as process:
        deadline = time.monotonic() + 240
        while not set(project.glob("checkpoints/*/step-*.pt")) - before and time.monotonic() < deadline:
            assert process.poll() is None
            time.sleep(0.1)
        assert statuses(project) == ["RUNNING"]
        stages = psutil.Process(process.pid).children(recursive=True)
        os.killpg(process.pid, how)
        assert not still_alive(stage.pid for stage in stages)


@pytest.mark.slow
def test_a_training_of_dvc_that_is_killed_never_stays_running(tmp_path: Path) -> None:
    project = make_project(tmp_path / "project", ENDLESS)
    killed_in_the_middle(project, signal.SIGKILL)
    assert statuses(project) == ["RUNNING"]  # nothing was left to say so
    recorded = run(project, "python", "-m", "pipelines.record")
    assert "is KILLED now: its process" in recorded.stdout
    assert "run `dvc repro` first" in recorded.stderr  # which has not ended
    assert statuses(project) == ["KILLED"]

    killed_in_the_middle(project, signal.SIGTERM)
    assert statuses(project) == ["KILLED"]  # the same run, at once
    (found,) = mlflow.MlflowClient().search_runs([mlflow.get_experiment_by_name("pennet-studio-terrain").experiment_id])
    assert found.data.tags[ERROR_TAG] == "stopped: SystemExit(143)"
