"""The `gpu` slot of a training: Prefect's, over all machines; what is waited for is in the log and in Prefect's UI."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING
from uuid import UUID

import httpx
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import ConcurrencyLeaseHolder
from prefect.concurrency.sync import concurrency
from prefect.context import TaskRunContext
from prefect.exceptions import PrefectException

from pipelines.running.waiting import SAY_AGAIN_SECONDS, RunEnded, ended

if TYPE_CHECKING:
    from prefect.client.orchestration import SyncPrefectClient
    from prefect.client.schemas.objects import TaskRun

SERVER_ERRORS = (httpx.HTTPError, PrefectException)
"""What Prefect's server can do to a question whose answer is only for people: no reason to end a training."""
GPU_SLOT = "gpu"
"""Global concurrency limit: `prefect gcl create gpu --limit N` lets N trainings run at once; without it any number may."""
WAITS = " (waits for a gpu slot)"
"""What the name of a task run ends with while it waits."""
_TRY_SECONDS = 30.0
"""For a slot that was free a moment ago; Prefect logs an error for each try that fails."""
_LOOK_SECONDS = 5.0
"""Between two looks at whether a slot is free."""


@contextmanager
def gpu_slot(say: Callable[[str], None]) -> Iterator[None]:
    """Holds one slot of the limit `gpu`; while all are taken, says every ten minutes by whom.

    Raises:
        RunEnded: the run ended while it waited.
    """
    say_next, waits, held = 0.0, False, ExitStack()
    while True:
        if not (holders := taken()):
            try:
                held.enter_context(concurrency(GPU_SLOT, occupy=1, timeout_seconds=_TRY_SECONDS, holder=_holder()))
                break
            except TimeoutError:  # another training was faster
                pass
        elif time.monotonic() >= say_next:
            _rename(waits=True)
            say(f"waiting for a gpu slot, {holders}")
            waits, say_next = True, time.monotonic() + SAY_AGAIN_SECONDS
        if ended.wait(_LOOK_SECONDS):
            raise RunEnded("the run was ended while it waited for a gpu slot")
    with held:
        if waits:
            _rename(waits=False)
            say("got a gpu slot")
        yield


def taken() -> str:
    """How many slots are in use, and by which runs: "1 of 1 in use by brave-crow (train@terrain-ca-2019)".

    Empty where the server does not say so: the slot is free, and what was slow is the server.
    """
    try:
        with get_client(sync_client=True) as client:
            limit = client.read_global_concurrency_limit_by_name(GPU_SLOT)
            runs = [run for run in _trainings(client) if not run.name.endswith(WAITS) and run.id != _own_id()]
            names = [f"{client.read_flow_run(run.flow_run_id).name} ({run.name})" for run in runs if run.flow_run_id]
    except SERVER_ERRORS:
        return ""
    if limit.active_slots < limit.limit:
        return ""
    holders = ", ".join(names) or "a run that Prefect does not list; `prefect gcl inspect gpu` shows the slots"
    return f"{limit.active_slots} of {limit.limit} in use by {holders}"


def _trainings(client: SyncPrefectClient) -> list[TaskRun]:
    """The task runs of trainings that run, those that wait for a slot among them."""
    from prefect.client.schemas.filters import TaskRunFilter

    running = TaskRunFilter.model_validate({"state": {"type": {"any_": ["RUNNING"]}}, "name": {"like_": "train@"}})
    return client.read_task_runs(task_run_filter=running)


def _own_id() -> UUID | None:
    context = TaskRunContext.get()
    return context.task_run.id if context else None


def _holder() -> ConcurrencyLeaseHolder | None:
    """Whose slot it is: `make up` gives back those of flow runs that have died."""
    context = TaskRunContext.get()
    run = context.task_run.flow_run_id if context else None
    return None if run is None else ConcurrencyLeaseHolder(type="flow_run", id=run)


def _rename(*, waits: bool) -> None:
    """Shows in Prefect's UI that the task run waits."""
    if context := TaskRunContext.get():
        with suppress(*SERVER_ERRORS), get_client(sync_client=True) as client:
            client.set_task_run_name(context.task_run.id, context.task_run.name + (WAITS if waits else ""))
