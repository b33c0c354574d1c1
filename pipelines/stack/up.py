"""Starts the stack, keeps it up until Ctrl-C or `make down`, and ends it in an order in which nothing is lost."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from types import FrameType

from pennet.errors import UserError
from pipelines.loopback import check_port_is_free
from pipelines.params import load_params
from pipelines.stack.database import mlflow_variables, prefect_variables, prepare_database
from pipelines.stack.dead_runs import (
    WHY_DEAD,
    cancel_runs,
    end_overdue_cancels,
    free_gpu_slots,
    recount_slots,
    runs_of,
    tidy,
)
from pipelines.stack.deployments import deploy
from pipelines.stack.mlflow_server import artifacts_folder, server_command
from pipelines.stack.parts import MIN_LIFE_SECONDS, PREFECT, Part, keep_old_log
from pipelines.stack.prefect_api import PrefectApi
from pipelines.stack.running import Note, end_left_over_parts, read_note, say, sole, stack_lock, started, worker_name
from pipelines.stack.settings import Settings
from pipelines.tracking.store import check_sqlite
from pipelines.workspace import check_workspace

CANCEL_SECONDS = 60
"""Twice what Prefect gives a flow run to end by itself."""
_WATCH_SECONDS = 0.5
_LOOK_SECONDS = 10


def up(settings: Settings) -> None:
    """Starts both servers, what they need, and the worker; returns never, but for an exception.

    Raises:
        UserError: a stack runs here already, a port is taken, the folder or the database cannot be used, or a part ends
            as soon as it is started; names the remedy. Nothing was deployed or overwritten then.
        KeyboardInterrupt: SIGINT or SIGTERM came; everything is down.
    """
    note = read_note(settings.folder)
    whose = f" (process {note.supervisor}, {note.prefect_url})" if note else ""
    taken = f"a stack is up in {settings.folder}{whose}; make status shows it, make down ends it"
    with sole(stack_lock(settings.folder), taken):
        if left := end_left_over_parts(settings.folder):
            say(f"ended what was left of a stack that was killed: {', '.join(left)}")
        for signum in (signal.SIGINT, signal.SIGTERM):  # SIGINT too: a shell's background jobs start with it ignored
            signal.signal(signum, _interrupt)
        if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:  # the terminal is closed; under nohup it may be
            signal.signal(signal.SIGHUP, _interrupt)
        os.environ.pop("DATABASE_URL", None)  # its password is for the servers alone
        Stack(settings).run()


class Stack:
    """The parts of a stack by name, in the order in which they start."""

    def __init__(self, settings: Settings):
        self.settings = settings
        self.api = PrefectApi(settings.api_url)
        self.since = time.time()
        self.worker_name = worker_name(settings.folder)
        self.parts = {part.name: part for part in (_mlflow(settings), _prefect(settings), _worker(settings)) if part}

    def run(self) -> None:
        check_workspace()
        check_port_is_free(self.settings.prefect_port, "PREFECT_PORT")
        if "mlflow" in self.parts:
            check_port_is_free(self.settings.mlflow_port, "MLFLOW_PORT")
        if self.settings.database_url:
            prepare_database(self.settings.database_url)
        elif "mlflow" in self.parts:
            check_sqlite(load_params().tracking.uri)
        for part in self.parts.values():
            keep_old_log(part.log)
        try:
            self._start()
            self._watch()
        finally:
            self._stop()

    def _start(self) -> None:
        servers = [part for name, part in self.parts.items() if name != "worker"]
        say(f"starting; logs are in {self.settings.logs}")
        for part in servers:
            part.start()
        self._write_note()
        for part in servers:
            part.wait_until_healthy()
        recount_slots(self.api, self.settings.prefect_home)
        deploy(self.api, self.settings.gpu_slots, self.settings.logs / "deploy.log")
        tidy(self.api, self.settings.prefect_home, self.worker_name, WHY_DEAD)  # the worker would, but into its log
        self.parts["worker"].start()
        self._write_note()
        for address in (f"Prefect  {self.settings.prefect_url}", f"MLflow   {self._mlflow_url()}"):
            say(address)
        say("ready: run one now: make run; what runs: make status; end: Ctrl-C or make down")

    def _mlflow_url(self) -> str:
        return self.settings.mlflow_url if "mlflow" in self.parts else load_params().tracking.uri

    def _write_note(self) -> None:
        running = {name: part.process.pid for name, part in self.parts.items() if part.process is not None}
        note = Note(os.getpid(), self.since, self.settings.prefect_url, self._mlflow_url())
        note.parts = {name: (pid, started(pid)) for name, pid in running.items()}
        note.write(self.settings.folder)

    def _watch(self) -> None:
        next_look = time.monotonic()
        while True:
            for part in self.parts.values():
                if part.ended:
                    self._start_again(part)
            if time.monotonic() > next_look:
                next_look = time.monotonic() + _LOOK_SECONDS
                with contextlib.suppress(UserError):  # a server that is busy, or that has just ended
                    end_overdue_cancels(self.api, self.worker_name)
                    free_gpu_slots(self.api, self.settings.prefect_home)
            time.sleep(_WATCH_SECONDS)

    def _start_again(self, part: Part) -> None:
        """A part that somebody killed; the worker ends its dead runs when it starts."""
        assert part.process is not None
        if time.monotonic() - part.since < MIN_LIFE_SECONDS:
            raise UserError(part.last_words())
        say(f"{part.name} ended with status {part.process.returncode}; starting it again")
        part.stop()
        part.start()
        self._write_note()
        part.wait_until_healthy()
        if part.name == "prefect":
            recount_slots(self.api, self.settings.prefect_home)
        say(f"{part.name} is up again")

    def _stop(self) -> None:
        """Runs first, while all that they need is still there; then the worker, MLflow, Prefect."""
        worker = self.parts["worker"]
        try:
            if worker.process is not None and not worker.ended:
                self._end_runs()
        except UserError as error:
            say(f"flow runs were not cancelled: {error}")
        except KeyboardInterrupt:
            say("not waiting for flow runs any longer")
        for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(signum, signal.SIG_IGN)
        had_worker = worker.process is not None
        worker.stop()
        if had_worker:
            with contextlib.suppress(UserError):  # the next start does it
                why = "The stack was stopped while the run was active."
                tidy(self.api, self.settings.prefect_home, self.worker_name, why)
        for part in self.parts.values():
            part.stop()

    def _end_runs(self) -> None:
        names = [run["name"] for run in runs_of(self.api, self.worker_name)]
        if names:
            say(f"cancelling {', '.join(names)} (at most {CANCEL_SECONDS} s; Ctrl-C again: at once)")
            cancel_runs(self.api, self.worker_name, CANCEL_SECONDS)


def _interrupt(signum: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _mlflow(settings: Settings) -> Part | None:
    """None where the runs go to a server that is not of this stack."""
    uri = load_params().tracking.uri
    if uri.startswith(("http://", "https://")):
        return None
    if settings.database_url:
        variables, workers = mlflow_variables(settings.database_url), 2
    else:
        variables, workers = {"MLFLOW_BACKEND_STORE_URI": uri}, 1
    variables["MLFLOW_SERVER_ENABLE_JOB_EXECUTION"] = "false"  # else more processes, for what the project has no use for
    return Part(
        name="mlflow",
        command=server_command(artifacts_folder(uri), settings.mlflow_port, workers),
        log=settings.logs / "mlflow.log",
        variables=variables,
        port=settings.mlflow_port,
        health=f"{settings.mlflow_url}/health",
    )


def _prefect(settings: Settings) -> Part:
    leases = "prefect.server.concurrency.lease_storage.filesystem"  # in memory, a restart would forget who holds a slot
    variables = {"PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": leases, "PREFECT_HOME": str(settings.prefect_home)}
    if settings.database_url:
        variables |= prefect_variables(settings.database_url)
    return Part(
        name="prefect",
        command=[*PREFECT, "server", "start", "--host", "127.0.0.1", "--port", str(settings.prefect_port)],
        log=settings.logs / "prefect.log",
        variables=variables,
        port=settings.prefect_port,
        health=f"{settings.api_url}/health",
    )


def _worker(settings: Settings) -> Part:
    uri = load_params().tracking.uri
    mlflow = uri if uri.startswith(("http://", "https://")) else settings.mlflow_url
    return Part(
        name="worker",
        command=[sys.executable, "-m", "pipelines.stack", "worker"],
        log=settings.logs / "worker.log",
        variables={
            "PREFECT_API_URL": settings.api_url,
            "PREFECT_HOME": str(settings.prefect_home),
            "MLFLOW_TRACKING_URI": mlflow,
        },
    )
