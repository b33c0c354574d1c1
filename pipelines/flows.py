"""The Prefect flow: says when, where and with which GPU the stages of `dvc.yaml` run; what depends on what is DVC's to say.

`python -m pipelines.flows` runs it here and now, with or without a Prefect server.
"""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from pennet.errors import UserError
from pipelines.workspace import check_workspace, run_environment

os.environ.update(run_environment())

import psutil
from prefect import flow, get_run_logger, task
from prefect.cache_policies import NO_CACHE
from prefect.concurrency.sync import concurrency

from pipelines.dag import stages_to_run
from pipelines.gpu import own_gpu, visible_gpus
from pipelines.params import FINAL, REASON_VARIABLE, load_params
from pipelines.process import child, guarded

GPU_SLOT = "gpu"
"""Global concurrency limit: `prefect gcl create gpu --limit N` lets N trainings run at once; without it any number may."""
DATA_STAGES = ("download", "prepare", "masks")
"""Stages that touch the outside world (networks, slow disks): worth another try."""


class StageError(UserError):
    """A stage failed, and would fail again."""


class TransientStageError(StageError):
    """A stage failed for a reason that may pass."""


def _without_traceback(record: logging.LogRecord) -> bool:
    """Takes the traceback from Prefect's message where it says nothing: of what a user can mend, not of a bug."""
    if record.exc_info and isinstance(record.exc_info[1], UserError):
        record.exc_info = None
    return True


for _name in ("prefect.task_runs", "prefect.flow_runs"):
    logging.getLogger(_name).addFilter(_without_traceback)


@flow(name="benchmark", log_prints=True)
def benchmark() -> None:
    """Brings every stage of `dvc.yaml` up to date, then completes the MLflow record.

    Raises:
        ConfigError: `params.yaml` has problems; lists them all.
        StageError: a stage failed; names it and ends with its reason or its last line.
        UserError: DVC cannot work in this folder.
    """
    for started in psutil.Process().children():  # Prefect's temporary server, which would outlive a SIGKILL
        guarded(started.pid)
    logger = get_run_logger()
    load_params()
    check_workspace()
    stages = stages_to_run()
    if not stages:
        logger.info("all stages are up to date")
    for stage in stages:
        run = _task_for(stage)
        run(stage)
    record()


def _task_for(stage: str):
    kind = stage.partition("@")[0]
    if kind in DATA_STAGES:
        return run_data_stage.with_options(task_run_name=stage)
    if kind == "train":
        return run_training_stage.with_options(task_run_name=stage)
    return run_stage.with_options(task_run_name=stage)


@task(cache_policy=NO_CACHE)
def run_stage(stage: str) -> None:
    """Runs one DVC stage if it changed."""
    _reproduce(stage)


def _may_pass(task, task_run, state) -> bool:
    return isinstance(state.data, TransientStageError)


@task(cache_policy=NO_CACHE, retries=2, retry_delay_seconds=[5, 30], retry_condition_fn=_may_pass)
def run_data_stage(stage: str) -> None:
    """Runs one DVC stage that fetches or prepares data; three times at most, if what went wrong may pass."""
    _reproduce(stage)


@task(cache_policy=NO_CACHE)
def run_training_stage(stage: str) -> None:
    """Runs one training stage when a GPU slot is free, on a GPU of its own if this machine has any.

    An interrupted training goes on from its checkpoint.
    """
    runtime = load_params().runtime
    with concurrency(GPU_SLOT, occupy=1), own_gpu(runtime.device, visible_gpus(), runtime.num_processes) as variables:
        _reproduce(stage, variables)


@task(cache_policy=NO_CACHE)
def record() -> None:
    """Completes the MLflow record; nothing is logged twice."""
    _run_logged([sys.executable, "-m", "pipelines.record"], "record")


# --- one child process -----------------------------------------------------------------------------------------------


def _reproduce(stage: str, variables: Mapping[str, str] | None = None) -> None:
    _run_logged([sys.executable, "-m", "dvc", "repro", "--single-item", stage], stage, variables)


def _run_logged(command: list[str], name: str, variables: Mapping[str, str] | None = None) -> None:
    """Runs a command with its output in the flow's log; whatever ends this function ends the command and its children.

    Raises:
        StageError: it failed, for a reason that it names itself.
        TransientStageError: it failed for a reason that may pass, or that it could not name.
    """
    logger = get_run_logger()
    last_line = ""
    with tempfile.TemporaryDirectory() as folder:
        reason_file = Path(folder) / "reason"
        more = {**(variables or {}), REASON_VARIABLE: str(reason_file)}
        with child(command, stdout=subprocess.PIPE, variables=more) as process:
            assert process.stdout is not None
            for line in process.stdout:  # progress bars redraw with carriage returns: each redraw is a line here
                if text := line.rstrip():
                    logger.info(text)
                    last_line = text
            status = process.wait()
        if not status:
            return
        kind, _, reason = reason_file.read_text().partition("\n") if reason_file.exists() else ("", "", "")
    error = StageError if kind == FINAL else TransientStageError
    raise error(f"{name} failed with exit status {status}: {reason or f'{last_line}; its output is in the log above'}")


def main() -> None:
    """Runs the flow here and now; what a user can mend ends in one message."""
    # An orderly exit, where Python would just end: Prefect's temporary server is stopped on the way out.
    signal.signal(signal.SIGTERM, lambda signum, frame: sys.exit(128 + signum))
    try:
        load_params()  # both before a server is started for nothing
        check_workspace()
        benchmark()
    except (UserError, OSError) as error:
        sys.exit(f"benchmark: {error}")


if __name__ == "__main__":
    main()
