"""Child processes that never outlive their parent's interest in them."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

TERMINATION_SECONDS = 10


@contextlib.contextmanager
def child(command: list[str], *, stdout: int | None = None, cwd: Path | None = None) -> Iterator[subprocess.Popen[str]]:
    """Runs a command in a process group of its own; the whole group is gone when the block is left, however it is left.

    Args:
        command: program and arguments.
        stdout: `subprocess.PIPE` to read what it prints (both streams); None to let it print here.
        cwd: where it runs; None for here.
    """
    process = subprocess.Popen(
        command,
        stdout=stdout,
        stderr=subprocess.STDOUT if stdout is not None else None,
        text=True,
        env=environment(),
        cwd=cwd,
        start_new_session=True,
    )
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


def environment() -> dict[str, str]:
    """This process's environment, with the tools of its own virtual environment first on the path."""
    tools = str(Path(sys.executable).parent)
    return {
        "TQDM_MININTERVAL": "10",  # seconds between two redraws of a progress bar, each of which is a line in a log
        **os.environ,
        "PATH": f"{tools}{os.pathsep}{os.environ.get('PATH', '')}",
        "DVC_NO_ANALYTICS": "1",
    }
