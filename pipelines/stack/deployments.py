"""What a Prefect server has to know before a worker starts: the work pool, the limit `gpu`, and `prefect.yaml`."""

from __future__ import annotations

from pathlib import Path

from pennet.errors import UserError
from pipelines.process import child
from pipelines.stack.parts import PREFECT
from pipelines.stack.prefect_api import NotThere, PrefectApi
from pipelines.stack.settings import DEPLOYMENT, GPU_SLOT, POOL

_LAST_LINES = 10


def deploy(api: PrefectApi, gpu_slots: int | None, log: Path) -> None:
    """Makes what is not there yet, and deploys every deployment of `prefect.yaml`.

    Args:
        api: of the server.
        gpu_slots: trainings that may run at once; None for as it was, at first 1.
        log: file that takes what Prefect prints.

    Raises:
        UserError: Prefect refuses something; with its last lines.
    """
    try:
        api.get(f"work_pools/{POOL}")
    except NotThere:
        _prefect(api, log, "work-pool", "create", POOL, "--type", "process")
    set_gpu_slots(api, gpu_slots)
    _prefect(api, log, "--no-prompt", "deploy", "--all")


def set_gpu_slots(api: PrefectApi, gpu_slots: int | None) -> None:
    """Makes the limit `gpu`, or changes it where a number is given."""
    try:
        api.get(f"v2/concurrency_limits/{GPU_SLOT}")
    except NotThere:
        api.post("v2/concurrency_limits/", {"name": GPU_SLOT, "limit": gpu_slots or 1})
    else:
        if gpu_slots:
            api.patch(f"v2/concurrency_limits/{GPU_SLOT}", {"limit": gpu_slots})


def run_now(api: PrefectApi) -> str:
    """Starts a run of the nightly deployment; returns the run's name.

    Raises:
        UserError: no server answers, or it does not have the deployment.
    """
    try:
        deployment = api.get(f"deployments/name/{DEPLOYMENT}")
    except NotThere as error:
        raise UserError(f"the Prefect server at {api.url} has no deployment {DEPLOYMENT}; `make up` deploys it") from error
    return api.post(f"deployments/{deployment['id']}/create_flow_run", {"state": {"type": "SCHEDULED"}})["name"]


def _prefect(api: PrefectApi, log: Path, *arguments: str) -> None:
    log.parent.mkdir(parents=True, exist_ok=True)
    variables = {"PREFECT_API_URL": api.url}
    with log.open("ab") as file, child([*PREFECT, *arguments], stdout=file.fileno(), variables=variables) as process:
        status = process.wait()
    if status:
        lines = log.read_text(errors="replace").splitlines()[-_LAST_LINES:]
        raise UserError("\n".join([f"`prefect {' '.join(arguments)}` failed:", *lines]))
