"""A worker whose flow runs are known to be its own: of this data folder, whatever happened to the worker before it."""

from __future__ import annotations

import os

from pennet.errors import UserError
from pipelines.stack.dead_runs import WHY_DEAD, tidy
from pipelines.stack.parts import PREFECT
from pipelines.stack.prefect_api import PrefectApi
from pipelines.stack.running import sole, worker_name
from pipelines.stack.settings import POOL, Settings


def work(settings: Settings) -> None:
    """Ends the dead runs of the worker before it, then becomes Prefect's worker. `PREFECT_API_URL` says for which server.

    Raises:
        UserError: no server, or another worker of this data folder is up.
    """
    url = os.environ.get("PREFECT_API_URL")
    if not url:
        raise UserError("PREFECT_API_URL says for which server a worker works; on the server's machine: make up")
    name = worker_name(settings.folder)
    lock = settings.folder / "worker.lock"
    with sole(lock, f"another worker of {settings.folder} is up; give this one a data folder of its own: STACK_DIR") as held:
        tidy(PrefectApi(url), settings.prefect_home, name, WHY_DEAD)
        os.set_inheritable(held, True)  # the lock goes on with the process that this one becomes
        os.execv(PREFECT[0], [*PREFECT, "worker", "start", "--pool", POOL, "--type", "process", "--name", name])
