"""Child processes that never outlive their parent's interest in them."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from pipelines.loopback import without_proxy

TERMINATION_SECONDS = 10
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

    That holds when this process is killed (SIGKILL), too.

    Args:
        command: program and arguments.
        stdout: `subprocess.PIPE` to read what it prints (both streams); None to let it print here.
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
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(TERMINATION_SECONDS)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        guard.kill()  # before its pipe closes: the group's number may be another's by then
        guard.communicate()


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
