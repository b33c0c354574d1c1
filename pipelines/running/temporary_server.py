"""Prefect's temporary server, which Prefect starts before a flow begins, ends with the process that it was started for.

Prefect ends it where Python exits in order. For all other ends, at any moment, a guard waits from the start: the server is
found by a variable that every process hands on to its children, so that none is missed that was just being started.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import subprocess
import sys
import time
import uuid
from pathlib import Path

import psutil

_VARIABLE = "PENNET_FLOW_PROCESS"
_GUARD = """trap '' HUP INT TERM; read -r _; exec "$@" """
"""Waits until the pipe on its standard input closes, which the kernel does however the process at the other end ends."""
_BIRTH_SECONDS = 3.0
"""How long a process may take to come into sight that was being started when its parent was killed."""
_TERMINATION_SECONDS = 10.0


def guard_temporary_server() -> None:
    """Ends the temporary server when this process ends, a SIGKILL included; to be called before the first flow."""
    os.environ[_VARIABLE] = mark = uuid.uuid4().hex
    guard = subprocess.Popen(
        ["/bin/sh", "-c", _GUARD, "guard", sys.executable, "-P", str(Path(__file__).absolute()), mark],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    atexit.register(guard.kill)  # comes after Prefect's own end of the server, which is registered later


def _end_servers(mark: str) -> None:
    """Ends every Prefect server that was started with the mark."""
    deadline = time.monotonic() + _BIRTH_SECONDS
    while time.monotonic() < deadline:
        servers = [process for process in psutil.process_iter() if _is_server(process, mark)]
        for server in servers:
            with contextlib.suppress(psutil.Error):
                server.terminate()
        for server in psutil.wait_procs(servers, _TERMINATION_SECONDS)[1]:
            with contextlib.suppress(psutil.Error):
                server.kill()
        time.sleep(0.1)


def _is_server(process: psutil.Process, mark: str) -> bool:
    with contextlib.suppress(psutil.Error, OSError):  # it ended meanwhile, or is another user's
        return "prefect.server.api.server:create_app" in process.cmdline() and process.environ().get(_VARIABLE) == mark
    return False


if __name__ == "__main__":
    _end_servers(sys.argv[1])
