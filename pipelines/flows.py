"""The Prefect flows: say when, where and with which GPU the stages of `dvc.yaml` run; what depends on what is DVC's to say.

`python -m pipelines.flows` runs `benchmark` here and now, with or without a Prefect server. docs/flows.md is for people.
"""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
from collections.abc import Iterable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from pennet.errors import UserError
from pipelines.workspace import check_workspace, run_environment

os.environ.update(run_environment())

from prefect import flow, get_run_logger, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State

from pipelines.dag import Locked, stage_graph, stage_name, stages_to_run
from pipelines.params import PARAMS_PATH, load_params, read_yaml
from pipelines.running.artifacts import show_decision, show_results
from pipelines.running.command import run_logged
from pipelines.running.jobs import run_all
from pipelines.running.own_folder import own_folder
from pipelines.running.selection import Selection, select
from pipelines.running.tasks import task_for
from pipelines.running.temporary_server import start_temporary_server
from pipelines.running.waiting import ended, wait_for_dvc
from pipelines.sources import changed

STAGE_HOURS = 48.0
"""Time limit of a stage: a training that is longer goes on from its checkpoint in the next run."""


def _without_traceback(record: logging.LogRecord) -> bool:
    """Takes the traceback from Prefect's message where it says nothing: of what a user can mend, not of a bug."""
    if record.exc_info and isinstance(record.exc_info[1], UserError):
        record.exc_info = None
    return True


for _name in ("prefect.task_runs", "prefect.flow_runs"):
    logging.getLogger(_name).addFilter(_without_traceback)


@flow(name="benchmark", log_prints=True)
def benchmark(jobs: int = 1, stage_hours: float = STAGE_HOURS) -> None:
    """Brings every stage of `dvc.yaml` up to date, completes the MLflow record, and promotes what deserves it.

    Args:
        jobs: stages at once, where they do not need each other; trainings also need a gpu slot each.
        stage_hours: time limit of each stage; a training goes on from its checkpoint with the next run.

    Raises:
        ConfigError: `params.yaml` has problems; lists them all.
        StageError: a stage failed; names it and ends with its reason or its last line.
        UserError: DVC cannot work in this folder, or another DVC command is in the way for too long.
    """
    with _run(jobs, stage_hours):
        config = load_params()
        for line in changed(config):
            get_run_logger().warning(line)
        _bring_up_to_date(None, Path(), jobs, stage_hours)
        record(Path(), stage_hours)
        show_results(config, Path())
        if config.datasets and config.methods.learned:
            promote_models(config.datasets, stage_hours)


@flow(name="train", log_prints=True)
def train(
    dataset: str,
    methods: list[str] = [],
    seeds: list[int] = [],
    overrides: dict[str, Any] = {},
    jobs: int = 1,
    stage_hours: float = STAGE_HOURS,
) -> None:
    """Trains methods on a data set and paints their test pictures, with all that this needs.

    Args:
        dataset: an entry of `sources` of params.yaml.
        methods: learned methods, recipes of params.yaml; none for all of `methods.learned` there.
        seeds: one training of each method a seed; none for those of params.yaml.
        overrides: other values for keys of params.yaml, such as {"train.steps": 100}; the run then has a folder of its own
            in `.studies/`, and the project stays as it is.
        jobs: stages at once, where they do not need each other; trainings also need a gpu slot each.
        stage_hours: time limit of each stage; a training goes on from its checkpoint with the next run.

    Raises:
        UserError: a wrong parameter, or see `benchmark`.
    """
    with _run(jobs, stage_hours):
        chosen = select(read_yaml(PARAMS_PATH), dataset, methods, seeds, overrides)
        if methods and chosen.classical:
            raise UserError(f"methods: {chosen.classical[0]!r} needs no training; start evaluate with it")
        with _folder_of(chosen) as folder:
            _bring_up_to_date(chosen.targets("inpaint", None), folder, jobs, stage_hours)
            show_results(load_params(folder / PARAMS_PATH), folder)


@flow(name="evaluate", log_prints=True)
def evaluate(
    dataset: str,
    methods: list[str] = [],
    seeds: list[int] = [],
    overrides: dict[str, Any] = {},
    jobs: int = 1,
    stage_hours: float = STAGE_HOURS,
) -> None:
    """Evaluates methods on a data set and compares them, with all that this needs; records them in MLflow.

    Where the comparison also needs methods that were not asked for and are not up to date, it is left out.

    Args:
        dataset: an entry of `sources` of params.yaml.
        methods: learned or classical methods; none for all of params.yaml.
        seeds: of the learned methods; none for those of params.yaml.
        overrides: other values for keys of params.yaml, such as {"evaluate.sheet_images": 4}; the run then has a folder of
            its own in `.studies/`, and the project stays as it is.
        jobs: stages at once, where they do not need each other; trainings also need a gpu slot each.
        stage_hours: time limit of each stage; a training goes on from its checkpoint with the next run.

    Raises:
        UserError: a wrong parameter, or see `benchmark`.
    """
    with _run(jobs, stage_hours):
        chosen = select(read_yaml(PARAMS_PATH), dataset, methods, seeds, overrides)
        with _folder_of(chosen) as folder:
            config = load_params(folder / PARAMS_PATH)
            _bring_up_to_date(chosen.targets("evaluate", "evaluate-classical"), folder, jobs, stage_hours)
            compare = stage_name("compare", dataset)
            if others := [stage for stage in _outdated([compare], folder) if stage != compare]:
                get_run_logger().warning(f"{compare} is left out: what it also needs is not up to date: {', '.join(others)}")
                return
            _bring_up_to_date([compare], folder, jobs, stage_hours)
            record(folder, stage_hours)
            show_results(config, folder)


@flow(name="promote", log_prints=True)
def promote(datasets: list[str] = [], stage_hours: float = STAGE_HOURS) -> None:
    """Moves the champion of each data set if the rule of params.yaml says so, and shows the decision.

    Args:
        datasets: some of params.yaml's; none for all.
        stage_hours: time limit.

    Raises:
        UserError: no such data set.
        StageError: the decision failed; a champion that stays is no failure.
    """
    with _run(1, stage_hours):
        known = load_params().datasets
        if strangers := [name for name in datasets if name not in known]:
            raise UserError(f"datasets: {strangers[0]!r} is none of params.yaml's ({', '.join(known)})")
        promote_models(datasets or known, stage_hours)


@task(cache_policy=NO_CACHE)
def record(folder: Path, hours: float) -> None:
    """Completes the MLflow record; nothing is logged twice."""
    run_logged([sys.executable, "-m", "pipelines.record"], "record", folder, hours, get_run_logger().info)


@task(cache_policy=NO_CACHE, task_run_name="promote")
def promote_models(datasets: list[str], hours: float) -> None:
    """Lets `pipelines.promote` decide, and shows what it wrote."""
    run_logged([sys.executable, "-m", "pipelines.promote", *datasets], "promote", Path(), hours, get_run_logger().info)
    for dataset in datasets:
        show_decision(dataset, Path())


# --- what every flow does --------------------------------------------------------------------------------------------


@contextmanager
def _run(jobs: int, stage_hours: float) -> Iterator[None]:
    """From first checks to an end that leaves no process, whatever ends the run."""
    for name, value in (("jobs", jobs), ("stage_hours", stage_hours)):
        if value <= 0:
            raise UserError(f"{name}: {value} must be greater than 0")
    ended.clear()
    check_workspace()
    try:
        yield
    finally:
        ended.set()  # for threads that still wait or run a stage


@contextmanager
def _folder_of(chosen: Selection) -> Iterator[Path]:
    """The project's folder, or one of the run's own where its parameters are other ones."""
    say = get_run_logger().info
    with own_folder(chosen.params, say) if chosen.params else nullcontext(Path()) as folder:
        yield folder


def _bring_up_to_date(targets: Iterable[str] | None, folder: Path, jobs: int, stage_hours: float) -> None:
    """Runs the stages that DVC finds changed, of all or of those that the targets need."""
    check_workspace(folder)
    stages = _outdated(targets, folder)
    logger = get_run_logger()
    logger.info(f"to run: {', '.join(stages)}" if stages else "all stages are up to date")
    needs = stage_graph(folder) if stages else {}

    def start(stage: str) -> Future[State]:
        return task_for(stage).submit(stage, folder, stage_hours).wrapped_future

    for done in run_all(stages, needs, jobs, start):
        done.result().result()  # raises what the stage raised


def _outdated(targets: Iterable[str] | None, folder: Path) -> list[str]:
    """DVC's answer, when no other DVC command is at work in the folder."""
    wanted = None if targets is None else list(targets)
    while True:
        wait_for_dvc(folder, "this run", get_run_logger().info)
        try:
            return stages_to_run(wanted, folder)
        except Locked:  # somebody was faster
            continue


def main() -> None:
    """Runs the benchmark here and now; what a user can mend ends in one message."""
    parser = argparse.ArgumentParser(description="Runs every stage of dvc.yaml that is out of date, then records.")
    parser.add_argument("--jobs", type=int, default=1, help="stages at once, where they do not need each other")
    parser.add_argument("--stage-hours", type=float, default=STAGE_HOURS, help="time limit of each stage")
    arguments = parser.parse_args()
    # An orderly exit, where Python would just end: the temporary server is stopped on the way out.
    signal.signal(signal.SIGTERM, lambda signum, frame: sys.exit(128 + signum))
    try:
        load_params()  # both before a server is started for nothing
        check_workspace()
        start_temporary_server()
        benchmark(arguments.jobs, arguments.stage_hours)
    except (UserError, OSError) as error:
        sys.exit(f"benchmark: {error}")
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)


if __name__ == "__main__":
    main()
