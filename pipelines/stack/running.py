"""What runs in a data folder: one stack at most, which holds a lock and leaves a note of its processes."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import secrets
import socket
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

import psutil

from pennet.atomic import write_text
from pennet.errors import UserError
from pipelines.process import TERMINATION_SECONDS

_LOCK_POLL_SECONDS = 0.2


@dataclass
class Note:
    """The note of a stack that runs, or ran until it was killed.

    Attributes:
        supervisor: number of the process that a person ends with Ctrl-C.
        started: seconds since 1970.
        prefect_url: address of Prefect's pages.
        mlflow_url: address of MLflow's pages.
        parts: by name, number and time of start of each part's process; numbers alone are given to others later.
    """

    supervisor: int
    started: float
    prefect_url: str
    mlflow_url: str
    parts: dict[str, tuple[int, float]] = field(default_factory=dict)

    def write(self, folder: Path) -> None:
        write_text(folder / "stack.json", json.dumps(asdict(self), indent=2))


def read_note(folder: Path) -> Note | None:
    """The note in a data folder; None where there is none that can be read."""
    try:
        return Note(**json.loads((folder / "stack.json").read_text()))
    except (OSError, ValueError, TypeError):
        return None


@contextlib.contextmanager
def sole(lock: Path, taken: str) -> Iterator[int]:
    """Holds a lock file, which the kernel frees with the process, however it ends; gives its descriptor.

    Raises:
        UserError: another process holds it; says `taken`.
    """
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise UserError(taken) from error
        yield file.fileno()


def say(line: str) -> None:
    """Prints a line for whoever still looks: nothing of the stack depends on a terminal that was closed."""
    with contextlib.suppress(OSError):
        print(line, flush=True)


def stack_lock(folder: Path) -> Path:
    return folder / "lock"


def is_up(folder: Path) -> bool:
    """Whether a stack runs in this data folder."""
    if not stack_lock(folder).exists():
        return False
    try:
        with sole(stack_lock(folder), "taken"):
            return False
    except UserError:
        return True


def wait_until_down(folder: Path, seconds: float) -> bool:
    """Waits for the stack's last step, which is to let the lock go; False where it did not come in time."""
    deadline = time.monotonic() + seconds
    while is_up(folder):
        if time.monotonic() > deadline:
            return False
        time.sleep(_LOCK_POLL_SECONDS)
    return True


def started(pid: int) -> float:
    """When a process started, in seconds since 1970; 0 where there is none."""
    try:
        return psutil.Process(pid).create_time()
    except psutil.Error:
        return 0.0


def end_left_over_parts(folder: Path) -> list[str]:
    """Ends the parts of a stack that was killed together with their guards; returns their names."""
    note = read_note(folder)
    if note is None:
        return []
    left = {name: pid for name, (pid, since) in note.parts.items() if since and started(pid) == since}
    members = []
    for pid in left.values():
        with contextlib.suppress(psutil.Error):
            process = psutil.Process(pid)
            members += [process, *process.children(recursive=True)]
    end_processes(members)
    return list(left)


def end_processes(processes: list[psutil.Process]) -> None:
    """Tells processes to end, waits for them (bounded), and kills those that have not."""
    for process in processes:
        with contextlib.suppress(psutil.Error):
            process.terminate()
    _, alive = psutil.wait_procs(processes, TERMINATION_SECONDS)
    for process in alive:
        with contextlib.suppress(psutil.Error):
            process.kill()
    psutil.wait_procs(alive, TERMINATION_SECONDS)


def worker_name(folder: Path) -> str:
    """The name of this data folder's worker, by which its flow runs are known: made once, for the host may be renamed."""
    path = folder / "worker-name"
    if not path.exists():
        host = "".join(letter if letter.isalnum() or letter in ".-" else "-" for letter in socket.gethostname())
        folder.mkdir(parents=True, exist_ok=True)
        write_text(path, f"{host}-{secrets.token_hex(3)}\n")
    return path.read_text().strip()


def processes_of_run(run_id: str) -> list[psutil.Process]:
    """The processes of this machine that belong to a flow run: its own, its stages, and theirs."""
    return _processes("PREFECT__FLOW_RUN_ID", run_id)


def processes_of_worker(worker: str) -> list[psutil.Process]:
    """The processes of this machine that belong to any flow run of a worker."""
    return _processes("PREFECT__WORKER_NAME", worker)


def _processes(variable: str, value: str) -> list[psutil.Process]:
    """Those that were started with a variable in their environment, which every process hands on to its children."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if process.pid != os.getpid() and process.environ().get(variable) == value:
                found.append(process)
    return found
