"""What runs: `make status`."""

from __future__ import annotations

import datetime
from typing import Any

from pennet.errors import UserError
from pipelines.loopback import answers
from pipelines.stack.prefect_api import ACTIVE, PrefectApi
from pipelines.stack.running import Note, is_up, processes_of_run, read_note, started
from pipelines.stack.settings import GPU_SLOT, Settings


def status(settings: Settings) -> list[str]:
    """Lines for people: the parts, the flow runs, the `gpu` slots, and when the next run comes."""
    note = read_note(settings.folder)
    if not is_up(settings.folder) or note is None:
        left = [name for name, (pid, since) in note.parts.items() if since and started(pid) == since] if note else []
        more = f"; left over from one that was killed: {', '.join(left)}, which `make down` ends" if left else ""
        return [f"down: no stack is up in {settings.folder}{more}"]
    since = datetime.datetime.fromtimestamp(note.started).isoformat(" ", "seconds")
    lines = [f"up: process {note.supervisor} since {since}; logs are in {settings.logs}"]
    lines += [_part(note, name) for name in note.parts]
    try:
        lines += _prefect(PrefectApi(f"{note.prefect_url}/api"))
    except UserError as error:
        lines.append(str(error))
    return lines


def _part(note: Note, name: str) -> str:
    pid, since = note.parts[name]
    if started(pid) != since:
        return f"{name:<8} down"
    health = {"prefect": f"{note.prefect_url}/api/health", "mlflow": f"{note.mlflow_url}/health"}.get(name)
    word = "up" if health is None else "healthy" if answers(health) else "does not answer"
    address = {"prefect": note.prefect_url, "mlflow": note.mlflow_url}.get(name, "")
    return f"{name:<8} {word}, process {pid} {address}".rstrip()


def _prefect(api: PrefectApi) -> list[str]:
    lines = [_run(run) for run in api.flow_runs(*ACTIVE)] or ["runs     none"]
    limits = {limit["name"]: limit for limit in api.post("v2/concurrency_limits/filter", {})}
    if gpu := limits.get(GPU_SLOT):
        lines.append(f"gpu      {gpu['active_slots']} of {gpu['limit']} slots in use")
    scheduled = {"flow_runs": {"state": {"type": {"any_": ["SCHEDULED"]}}}, "sort": "EXPECTED_START_TIME_ASC", "limit": 1}
    following = api.post("flow_runs/filter", scheduled)
    lines.append(f"next     {following[0]['expected_start_time']}" if following else "next     nothing is scheduled")
    return lines


def _run(run: dict[str, Any]) -> str:
    pids = ", ".join(str(process.pid) for process in processes_of_run(run["id"])) or "none here"
    return f"run      {run['name']}: {run['state_name']} since {run['state']['timestamp']}, processes {pids}"
