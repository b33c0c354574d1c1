"""Child processes that never outlive their parent's interest in them."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from pipelines.loopback import without_proxy

TERMINATION_SECONDS = 20
"""What a group gets to close what it has open; less than the 30 s that Prefect gives a cancelled flow run."""
_POLL_SECONDS = 0.05
_GUARD = f"""
trap '' HUP INT TERM
read -r _
kill -s TERM -- "$1" || exit 0
for _ in $(seq {TERMINATION_SECONDS}); do sleep 1; kill -s 0 -- "$1" || exit 0; done
kill -s KILL -- "$1"
"""
"""Waits until the pipe on its standard input closes, which the kernel does however the process at the other end ends."""


@contextlib.contextmanager
def child(
    command: list[str],
    *,
    stdout: int | None = None,
    cwd: Path | None = None,
    variables: Mapping[str, str] | None = None,
) -> Iterator[subprocess.Popen[str]]:
    """Runs a command in a process group of its own; the whole group is gone when the block is left, however it is left.

    That holds when this process is killed (SIGKILL), too. The group is told to end (SIGTERM) and waited for, not its leader
    alone: DVC ends at once, while the training that it started still has to say that it was stopped.

    Args:
        command: program and arguments.
        stdout: `subprocess.PIPE` to read what it prints (both streams), or a file's descriptor; None to let it print here.
        cwd: where it runs; None for here.
        variables: more of its environment.
    """
    process = subprocess.Popen(
        command,
        stdout=stdout,
        stderr=subprocess.STDOUT if stdout is not None else None,
        text=True,
        env=environment() | dict(variables or {}),
        cwd=cwd,
        start_new_session=True,
    )
    guard = guarded(-process.pid)
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        if process.stdout is not None and not process.stdout.closed:  # nobody reads on: a full pipe would hold up last words
            threading.Thread(target=_drain, args=(os.dup(process.stdout.fileno()),), daemon=True).start()
        deadline = time.monotonic() + TERMINATION_SECONDS
        while time.monotonic() < deadline and _group_is_alive(process):
            time.sleep(_POLL_SECONDS)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        guard.kill()  # before its pipe closes: the group's number may be another's by then
        guard.communicate()


def _drain(descriptor: int) -> None:
    while os.read(descriptor, 65536):
        pass
    os.close(descriptor)


def _group_is_alive(leader: subprocess.Popen[str]) -> bool:
    """Whether a member of its group still runs; one that has ended and waits for its parent to notice does not."""
    import psutil

    leader.poll()  # else it would be such a one itself
    try:
        os.killpg(leader.pid, 0)
    except ProcessLookupError:
        return False
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, ProcessLookupError):
            if os.getpgid(process.pid) == leader.pid and process.status() != psutil.STATUS_ZOMBIE:
                return True
    return False


def guarded(target: int) -> subprocess.Popen[bytes]:
    """Ends a process, or a process group (-its number), when this process ends, a SIGKILL included.

    Returns:
        The guard. It waits in a session of its own; kill it when `target` is no longer its concern.
    """
    return subprocess.Popen(
        ["/bin/sh", "-c", _GUARD, "guard", str(target)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def environment() -> dict[str, str]:
    """This process's environment, with its own virtual environment first on the path and loopback behind no proxy."""
    tools = str(Path(sys.executable).parent)
    return {
        "TQDM_MININTERVAL": "10",  # seconds between two redraws of a progress bar, each of which is a line in a log
        **os.environ,
        "PATH": f"{tools}{os.pathsep}{os.environ.get('PATH', '')}",
        "DVC_NO_ANALYTICS": "1",
        **without_proxy(),
    }
