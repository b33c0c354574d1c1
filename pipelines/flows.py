"""The Prefect flow: says when, where and with which GPU the stages of `dvc.yaml` run; what depends on what is DVC's to say.

`python -m pipelines.flows` runs it here and now, with or without a Prefect server.
"""

from __future__ import annotations

import json
import logging
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections import deque
from graphlib import TopologicalSorter
from pathlib import Path

from pennet.errors import UserError

# On an empty PREFECT_HOME Prefect's own patience (20 s) is too short for its temporary server.
os.environ.setdefault("PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS", "120")

import psutil
from prefect import flow, get_run_logger, task
from prefect.cache_policies import NO_CACHE
from prefect.concurrency.sync import concurrency

from pipelines.params import FINAL, REASON_VARIABLE, load_params
from pipelines.process import child, environment, guarded

GPU_SLOT = "gpu"
"""Global concurrency limit: `prefect gcl create gpu --limit N` lets N trainings run at once; without it any number may."""
DATA_STAGES = ("download", "prepare", "masks")
"""Stages that touch the outside world (networks, slow disks): worth another try."""
KEPT_LINES = 20


class StageError(RuntimeError):
    """A stage failed, and would fail again."""


class TransientStageError(StageError):
    """A stage failed for a reason that may pass."""


def _without_traceback(record: logging.LogRecord) -> bool:
    """Takes the traceback from Prefect's message: where the flow noticed says nothing about a stage that failed."""
    if record.exc_info and isinstance(record.exc_info[1], StageError):
        record.exc_info = None
    return True


for _name in ("prefect.task_runs", "prefect.flow_runs"):
    logging.getLogger(_name).addFilter(_without_traceback)


@flow(name="benchmark", log_prints=True)
def benchmark() -> None:
    """Brings every stage of `dvc.yaml` up to date, then completes the MLflow record.

    Raises:
        ConfigError: `params.yaml` has problems; lists them all.
        StageError: a stage failed; names it and ends with its reason or its last lines.
    """
    for started in psutil.Process().children():  # Prefect's temporary server, which would outlive a SIGKILL
        guarded(started.pid)
    logger = get_run_logger()
    load_params()
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
    _run_logged(["dvc", "repro", "--single-item", stage], stage)


def _may_pass(task, task_run, state) -> bool:
    return isinstance(state.data, TransientStageError)


@task(cache_policy=NO_CACHE, retries=2, retry_delay_seconds=[5, 30], retry_condition_fn=_may_pass)
def run_data_stage(stage: str) -> None:
    """Runs one DVC stage that fetches or prepares data; three times at most, if what went wrong may pass."""
    _run_logged(["dvc", "repro", "--single-item", stage], stage)


@task(cache_policy=NO_CACHE)
def run_training_stage(stage: str) -> None:
    """Runs one training stage when a GPU slot is free; an interrupted training goes on from its checkpoint."""
    with concurrency(GPU_SLOT, occupy=1):
        _run_logged(["dvc", "repro", "--single-item", stage], stage)


@task(cache_policy=NO_CACHE)
def record() -> None:
    """Completes the MLflow record; nothing is logged twice."""
    _run_logged([sys.executable, "-m", "pipelines.record"], "record")


# --- what DVC says ---------------------------------------------------------------------------------------------------


def stages_to_run() -> list[str]:
    """The stages that DVC finds changed, and all that depend on them, in an order that respects the DAG."""
    needs = stage_graph()
    changed = set(json.loads(_dvc("status", "--json")))
    affected: list[str] = []
    for stage in TopologicalSorter(needs).static_order():
        if stage in changed or needs[stage] & set(affected):
            affected.append(stage)
    return affected


def stage_graph() -> dict[str, set[str]]:
    """Every stage -> the stages it needs, as `dvc dag` draws it."""
    drawing = _dvc("dag", "--dot")
    needs: dict[str, set[str]] = {}
    for line in drawing.splitlines():
        names = re.findall(r'"([^"]+)"', line)
        for name in names:
            needs.setdefault(name, set())
        if "->" in line:
            needs[names[1]].add(names[0])
    return needs


def _dvc(*arguments: str) -> str:
    result = subprocess.run(["dvc", *arguments], capture_output=True, text=True, env=environment(), check=False)
    if result.returncode:
        raise StageError(f"dvc {' '.join(arguments)} failed: {result.stderr.strip()}")
    return result.stdout


# --- one child process -----------------------------------------------------------------------------------------------


def _run_logged(command: list[str], name: str) -> None:
    """Runs a command with its output in the flow's log; whatever ends this function ends the command and its children.

    Raises:
        StageError: it failed, for a reason that it names itself.
        TransientStageError: it failed for a reason that may pass, or that it could not name.
    """
    logger = get_run_logger()
    last_lines: deque[str] = deque(maxlen=KEPT_LINES)
    with tempfile.TemporaryDirectory() as folder:
        reason_file = Path(folder) / "reason"
        with child(command, stdout=subprocess.PIPE, variables={REASON_VARIABLE: str(reason_file)}) as process:
            assert process.stdout is not None
            for line in process.stdout:  # progress bars redraw with carriage returns: each redraw is a line here
                if text := line.rstrip():
                    logger.info(text)
                    last_lines.append(text)
            status = process.wait()
        if not status:
            return
        kind, _, reason = reason_file.read_text().partition("\n") if reason_file.exists() else ("", "", "")
    failed = f"{name} failed with exit status {status}:"
    if kind == FINAL:
        raise StageError(f"{failed} {reason}")
    raise TransientStageError(f"{failed} {reason}" if reason else f"{failed}\n" + "\n".join(last_lines))


def main() -> None:
    """Runs the flow here and now; what a user can mend ends in one message."""
    # An orderly exit, where Python would just end: Prefect's temporary server is stopped on the way out.
    signal.signal(signal.SIGTERM, lambda signum, frame: sys.exit(128 + signum))
    try:
        load_params()  # before a server is started for nothing
        benchmark()
    except (UserError, StageError) as error:
        sys.exit(f"benchmark: {error}")


if __name__ == "__main__":
    main()
