"""One stage as a task of Prefect: with the retries of its kind, a GPU for a training, and its progress to look at."""

from __future__ import annotations

from pathlib import Path

from prefect import get_run_logger, task
from prefect.cache_policies import NO_CACHE

from pipelines.gpu import own_gpu, visible_gpus
from pipelines.params import PARAMS_PATH, load_params
from pipelines.running.artifacts import Progress
from pipelines.running.command import TransientStageError, reproduce
from pipelines.running.slots import gpu_slot

DATA_STAGES = ("download", "prepare", "masks")
"""Stages that touch the outside world (networks, slow disks): worth another try."""


def task_for(stage: str):
    """The task that runs a stage, under the stage's name."""
    kind = stage.partition("@")[0]
    if kind in DATA_STAGES:
        return run_data_stage.with_options(task_run_name=stage)
    if kind == "train":
        return run_training_stage.with_options(task_run_name=stage)
    return run_stage.with_options(task_run_name=stage)


@task(cache_policy=NO_CACHE)
def run_stage(stage: str, folder: Path, hours: float) -> None:
    """Runs one DVC stage if it changed."""
    reproduce(stage, folder, hours, get_run_logger().info)


def _may_pass(task, task_run, state) -> bool:
    return isinstance(state.data, TransientStageError)


@task(cache_policy=NO_CACHE, retries=2, retry_delay_seconds=[5, 30], retry_condition_fn=_may_pass)
def run_data_stage(stage: str, folder: Path, hours: float) -> None:
    """Runs one DVC stage that fetches or prepares data; three times at most, if what went wrong may pass."""
    reproduce(stage, folder, hours, get_run_logger().info)


@task(cache_policy=NO_CACHE)
def run_training_stage(stage: str, folder: Path, hours: float) -> None:
    """Runs one training stage when a GPU slot is free, on a GPU of its own if this machine has any.

    An interrupted training goes on from its checkpoint.
    """
    say = get_run_logger().info
    runtime = load_params(folder / PARAMS_PATH).runtime
    with gpu_slot(say), own_gpu(runtime.device, visible_gpus(), runtime.num_processes) as variables:
        reproduce(stage, folder, hours, say, variables=variables, watch=Progress(stage))
