"""A Prefect server for the time of one process, where the user has none.

Prefect would start one itself, in the process group of the flow: Ctrl-C and a SIGTERM to the group then end it first, and
the flow spends minutes on telling a server that is gone how it ended. This one has a group of its own, and ends with this
process, a SIGKILL included.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import prefect
from prefect.settings import PREFECT_API_URL, PREFECT_UI_URL, temporary_settings

from pennet.errors import UserError
from pipelines.loopback import answers
from pipelines.process import child

START_SECONDS = 180.0
_POLL_SECONDS = 0.1
_VARIABLES = {"PREFECT_UI_ENABLED": "0", "PREFECT__SERVER_EPHEMERAL": "1", "PREFECT__SERVER_FINAL": "1"}
"""As Prefect starts its own temporary server: without its page and its scheduler."""


def start_temporary_server() -> None:
    """Starts a server, unless Prefect is set to use one, and waits until it answers; it ends when this process ends.

    To be called before the first flow begins.

    Raises:
        UserError: the server ended, or did not answer in time.
    """
    if PREFECT_API_URL.value():
        return
    leaving = contextlib.ExitStack()
    atexit.register(leaving.close)  # comes after Prefect's last messages, whose end is registered later
    port = _free_port()
    server = leaving.enter_context(child(_command(port), stdout=subprocess.DEVNULL, variables=_VARIABLES))
    url = f"http://127.0.0.1:{port}/api"
    _wait_until_healthy(server, url)
    leaving.enter_context(temporary_settings({PREFECT_API_URL: url, PREFECT_UI_URL: ""}))  # it has no page to link to
    os.environ["PREFECT_API_URL"] = url  # for the processes of the flow


def _command(port: int) -> list[str]:
    place = ["--app-dir", str(Path(prefect.__file__).parent), "--host", "127.0.0.1", "--port", str(port)]
    words = ["--log-level", "error", "--lifespan", "on"]
    return [sys.executable, "-m", "uvicorn", *place, "--factory", "prefect.server.api.server:create_app", *words]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_until_healthy(server: subprocess.Popen[str], url: str) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not answers(f"{url}/health"):
        if server.poll() is not None:
            raise UserError(
                f"Prefect's temporary server ended with status {server.returncode}; start it yourself: `make up`"
            )
        if time.monotonic() > deadline:
            raise UserError(f"Prefect's temporary server did not answer within {START_SECONDS:.0f} s; try again")
        time.sleep(_POLL_SECONDS)
