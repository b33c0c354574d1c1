"""Flow runs that nobody runs any longer: after Ctrl-C, a power cut, or a worker that was killed.

Prefect leaves them in the state they were in, with their slots taken, for ever. A worker gives its name to each run that it
starts, so when a worker starts, whatever bears its name and is not over is dead.
"""

from __future__ import annotations

import datetime
import json
import time
from pathlib import Path
from typing import Any

from pipelines.stack.prefect_api import ACTIVE, FINAL, NotThere, PrefectApi
from pipelines.stack.running import end_processes, processes_of_run, processes_of_worker, say
from pipelines.stack.settings import GPU_SLOT, POOL

WORKER_LABEL = "prefect.worker.name"
UNCLAIMED_SECONDS = 60
"""A worker names a run within a second of taking it; one that is nameless for longer was dropped in between."""
OVERDUE_SECONDS = 45
"""Prefect's worker ends a cancelled run within 30 s, or not at all."""
WHY_DEAD = "Nobody ran it any longer when its worker started again: a power cut, or a worker that was killed."
_POLL_SECONDS = 0.5


def runs_of(api: PrefectApi, worker: str) -> list[dict[str, Any]]:
    """The flow runs that a worker has started and that are not over."""
    return [run for run in api.flow_runs(*ACTIVE) if _labels(run).get(WORKER_LABEL) == worker]


def _labels(run: dict[str, Any]) -> dict[str, Any]:
    return run.get("labels") or {}


def end_dead_runs(api: PrefectApi, worker: str, why: str) -> list[str]:
    """Ends what is left of a worker's runs on this machine, while that worker is down, and says so on the server.

    Args:
        api: of the server.
        worker: its name.
        why: message of the state Crashed, for people.

    Returns:
        Their names. Each is Crashed (Cancelled, where that was asked for), its processes are gone, its deployment's slot is
        free.
    """
    end_processes(processes_of_worker(worker))
    dead = runs_of(api, worker) + [run for run in api.flow_runs("PENDING") if _is_unclaimed(run)]
    for run in dead:
        _end(api, run, why)
    return [run["name"] for run in dead]


def end_overdue_cancels(api: PrefectApi, worker: str) -> list[str]:
    """Ends a worker's runs that were cancelled long ago; returns their names.

    After a restart of the server Prefect's worker says "Flow run cancellation disabled" and ends none that it has started
    before.
    """
    overdue = [run for run in runs_of(api, worker) if run["state_type"] == "CANCELLING" and _age(run) > OVERDUE_SECONDS]
    for run in overdue:
        _end(api, run, "Cancelled; its worker did not end it, the stack did.")
    return [run["name"] for run in overdue]


def _end(api: PrefectApi, run: dict[str, Any], why: str) -> None:
    end_processes(processes_of_run(run["id"]))
    state = "CANCELLED" if run["state_type"] == "CANCELLING" else "CRASHED"
    api.set_state("flow_runs", run["id"], state, why)
    tasks = {"flow_runs": {"id": {"any_": [run["id"]]}}, "task_runs": {"state": {"type": {"any_": list(ACTIVE)}}}}
    for task in api.post("task_runs/filter", tasks):
        api.set_state("task_runs", task["id"], state, why)


def _is_unclaimed(run: dict[str, Any]) -> bool:
    return run.get("work_pool_name") == POOL and WORKER_LABEL not in _labels(run) and _age(run) > UNCLAIMED_SECONDS


def _age(run: dict[str, Any]) -> float:
    """Seconds that it is in its state."""
    return (datetime.datetime.now(datetime.UTC) - _time(run["state"]["timestamp"])).total_seconds()


def _time(text: str) -> datetime.datetime:
    return datetime.datetime.fromisoformat(text)


def cancel_runs(api: PrefectApi, worker: str, seconds: float) -> list[str]:
    """Cancels a worker's runs and waits until they are over and their processes are gone.

    Args:
        api: of the server.
        worker: its name; it must be up, it does the work.
        seconds: to wait at most.

    Returns:
        The names of those that were not over in time.
    """
    waited_for = runs_of(api, worker)
    for run in waited_for:
        api.cancel(run["id"], "The stack was stopped.")
    deadline = time.monotonic() + seconds
    while waited_for and time.monotonic() < deadline:
        time.sleep(_POLL_SECONDS)
        active = {run["id"] for run in runs_of(api, worker)}
        waited_for = [run for run in waited_for if run["id"] in active or processes_of_run(run["id"])]
    return [run["name"] for run in waited_for]


# --- slots -----------------------------------------------------------------------------------------------------------


def leases_of(home: Path, limit: str) -> list[dict[str, Any]]:
    """The leases of a concurrency limit, as the server of this machine keeps them.

    Args:
        home: PREFECT_HOME of the server.
        limit: the limit's identifier.
    """
    leases = []
    for path in (home / "concurrency_leases").glob("*-*.json"):
        try:
            lease = json.loads(path.read_text())
        except (OSError, ValueError):  # released, or being written, at this moment
            continue
        if limit in lease["resource_ids"]:
            leases.append(lease)
    return leases


def free_gpu_slots(api: PrefectApi, home: Path) -> int:
    """Frees the `gpu` slots of flow runs that are over, at once; by itself Prefect would do it after five minutes.

    Args:
        api: of the server.
        home: its PREFECT_HOME; on another machine than the server's there are no leases to be seen, and nothing is freed.

    Returns:
        How many leases were freed.
    """
    try:
        limit = api.get(f"v2/concurrency_limits/{GPU_SLOT}")
    except NotThere:
        return 0
    freed = 0
    for lease in leases_of(home, limit["id"]):
        if not _is_held(api, lease):
            api.post("v2/concurrency_limits/decrement-with-lease", {"lease_id": lease["id"]})
            freed += 1
    return freed


def _is_held(api: PrefectApi, lease: dict[str, Any]) -> bool:
    """Whether the run that a lease names is not over; where it names none, whether any is not that began before it."""
    if holder := (lease["metadata"] or {}).get("holder"):
        kind = "task_runs" if holder["type"] == "task_run" else "flow_runs"
        try:
            run = api.get(f"{kind}/{holder['id']}")
            if kind == "task_runs" and run["state_type"] not in FINAL and run["flow_run_id"]:
                run = api.get(f"flow_runs/{run['flow_run_id']}")  # which may have crashed without its task
            return run["state_type"] not in FINAL
        except NotThere:  # deleted, or a task that the server has not written down yet
            pass
    made = _time(lease["created_at"])
    return any(run["start_time"] and _time(run["start_time"]) < made for run in api.flow_runs(*ACTIVE))


def recount_slots(api: PrefectApi, home: Path) -> None:
    """Makes the slots in use those that a lease is held for, on a server that has just started.

    A server that is killed between its two writes, or kept its leases in memory, counts slots that nobody can give back.
    """
    for limit in api.post("v2/concurrency_limits/filter", {}):
        # Those that have run out count, too: the server takes their slots back when it notices.
        held = sum((lease["metadata"] or {}).get("slots", 1) for lease in leases_of(home, limit["id"]))
        if limit["active_slots"] != held:
            api.patch(f"v2/concurrency_limits/{limit['id']}", {"active_slots": held})


def tidy(api: PrefectApi, home: Path, worker: str, why: str) -> None:
    """Ends a worker's dead runs, frees their slots, and prints their names."""
    names = end_dead_runs(api, worker, why)
    free_gpu_slots(api, home)
    if names:
        say(f"ended what was left of flow runs that nobody ran any longer: {', '.join(names)}")
