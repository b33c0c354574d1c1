"""Runs that say RUNNING and are not: their process is gone, killed or with the machine that went down."""

from __future__ import annotations

import os
import platform
from typing import Any

ERROR_TAG = "pennet.error"
"""Why a run did not finish."""
PROCESS_TAG = "pennet.process"
"""Who writes a run: machine, number of the process and when that began, in seconds since 1970."""
_SAME_START_SECONDS = 2.0
"""The system's clock, by which starts are told, may be set; no process gets a dead one's number as fast as this."""


def this_process() -> str:
    """The value of `PROCESS_TAG` for this process."""
    import psutil

    return f"{platform.node()} {os.getpid()} {psutil.Process().create_time():.2f}"


def close_dead_runs(experiment_id: str) -> list[str]:
    """Ends as KILLED the runs of an experiment that say RUNNING and whose process on this machine is gone.

    Runs of other machines, and of processes that live, are left as they are.

    Returns:
        A line for each run that was closed, and for each that this machine cannot judge.

    Raises:
        one of `store_errors()`: the store cannot be used.
    """
    import mlflow

    client, lines = mlflow.MlflowClient(), []
    for run in client.search_runs([experiment_id], "attributes.status = 'RUNNING'"):
        owner, called = run.data.tags.get(PROCESS_TAG), f"run {run.info.run_name} ({run.info.run_id})"
        if owner is None:
            lines.append(f"{called} says RUNNING, and not where: it began before runs did; left as it is")
            continue
        machine, process_id, started = owner.rsplit(maxsplit=2)
        if machine != platform.node():
            lines.append(f"{called} says RUNNING on another machine, {machine}; left as it is")
        elif _is_gone(int(process_id), float(started)):
            reason = f"its process {process_id} on {machine} is gone: killed, or the machine went down"
            client.set_tag(run.info.run_id, ERROR_TAG, reason)
            client.set_terminated(run.info.run_id, "KILLED", _last_sign(client, run))
            lines.append(f"{called} is KILLED now: {reason}")
    return lines


def _is_gone(process_id: int, started: float) -> bool:
    """Whether a process of this machine has ended. Its number alone says little: it may be another's by now."""
    import psutil

    try:
        process = psutil.Process(process_id)
        if process.status() == psutil.STATUS_ZOMBIE:  # dead, and nobody has asked how it ended
            return True
        return abs(process.create_time() - started) > _SAME_START_SECONDS
    except psutil.NoSuchProcess:
        return True


def _last_sign(client: Any, run: Any) -> int:
    """When a run was last heard of, in milliseconds since 1970: its duration does not count how long it was dead."""
    points = client.get_metric_history(run.info.run_id, "train/generator")
    return max([run.info.start_time, *(point.timestamp for point in points)])
