"""A Prefect server, its worker and the deployments of `prefect.yaml`, on this machine, until Ctrl-C: `make up`.

`make run` (`--run-now`) starts a run on that server.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import time
from types import FrameType

import psutil

from pennet.errors import UserError
from pipelines.loopback import answers, check_port_is_free
from pipelines.process import child, environment
from pipelines.workspace import check_workspace, run_environment

POOL = "gpu-pool"
GPU_SLOT = "gpu"
DEPLOYMENT = "benchmark/nightly"
SERVER_START_SECONDS = 120
_HEALTH_POLL_SECONDS = 0.5
_PREFECT = [sys.executable, "-m", "prefect"]


def main() -> None:
    parser = argparse.ArgumentParser(description="Prefect server, worker and schedule on this machine, until Ctrl-C.")
    parser.add_argument("--port", type=int, default=4200, help="of the Prefect API and UI")
    parser.add_argument("--gpu-slots", type=int, help="trainings that may run at once; else as it was, at first 1")
    parser.add_argument("--run-now", action="store_true", help="run the nightly deployment on the server that is up")
    arguments = parser.parse_args()
    os.environ.update(run_environment())
    try:
        if arguments.run_now:
            run_now(arguments.port)
        else:
            serve(arguments.port, arguments.gpu_slots)
    except (UserError, OSError) as error:
        sys.exit(f"serve: {error}")
    except KeyboardInterrupt:
        print("stopped")


def serve(port: int, gpu_slots: int | None) -> None:
    """Starts the server, then what needs it; stops in the opposite order.

    Raises:
        UserError: the port is taken, the folder cannot be worked in, or a part of it ended; names the remedy.
    """
    check_port_is_free(port, "PREFECT_PORT")
    check_workspace()
    api_url = f"http://127.0.0.1:{port}/api"
    os.environ["PREFECT_API_URL"] = api_url
    for signum in (signal.SIGINT, signal.SIGTERM):  # SIGINT too: a shell's background jobs start with it ignored
        signal.signal(signum, _interrupt)
    with child([*_PREFECT, "server", "start", "--host", "127.0.0.1", "--port", str(port)]) as server:
        _wait_until_healthy(api_url, port, server)
        _prefect("work-pool", "create", POOL, "--type", "process", "--overwrite")
        _set_gpu_slots(gpu_slots)
        _prefect("--no-prompt", "deploy", "--all")
        with child([*_PREFECT, "worker", "start", "--pool", POOL]) as worker:
            print(f"ready: {api_url.removesuffix('/api')} - run one now: make run; stop: Ctrl-C", flush=True)
            _wait_for_either(server, worker)


def run_now(port: int) -> None:
    """Starts a run of the nightly deployment, on the server of `PREFECT_API_URL` or else of this machine.

    Raises:
        UserError: no server answers, or it does not have the deployment.
    """
    api_url = os.environ.setdefault("PREFECT_API_URL", f"http://127.0.0.1:{port}/api")
    if not answers(f"{api_url}/health"):
        raise UserError(f"no Prefect server answers at {api_url}; start one in another terminal: make up")
    _prefect("deployment", "run", DEPLOYMENT)


def _interrupt(signum: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _wait_until_healthy(api_url: str, port: int, server: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + SERVER_START_SECONDS
    while time.monotonic() < deadline:
        if server.poll() is not None:
            raise UserError(f"the Prefect server ended with status {server.returncode}; its last lines are above")
        if _listens(server.pid, port) and answers(f"{api_url}/health"):
            return
        time.sleep(_HEALTH_POLL_SECONDS)
    raise UserError(f"the Prefect server did not answer at {api_url} within {SERVER_START_SECONDS} s")


def _listens(pid: int, port: int) -> bool:
    """Whether the process or one of its children is the one that listens there: a stranger's server would answer too."""
    try:
        process = psutil.Process(pid)
        return any(
            connection.status == psutil.CONN_LISTEN and connection.laddr.port == port
            for member in (process, *process.children(recursive=True))
            for connection in member.net_connections("tcp")
        )
    except psutil.Error:  # a member has just ended
        return False


def _set_gpu_slots(gpu_slots: int | None) -> None:
    exists = _succeeds("gcl", "inspect", GPU_SLOT)
    if not exists:
        _prefect("gcl", "create", GPU_SLOT, "--limit", str(gpu_slots or 1))
    elif gpu_slots:
        _prefect("gcl", "update", GPU_SLOT, "--limit", str(gpu_slots))


def _wait_for_either(server: subprocess.Popen[str], worker: subprocess.Popen[str]) -> None:
    while server.poll() is None and worker.poll() is None:
        time.sleep(_HEALTH_POLL_SECONDS)
    raise UserError("the Prefect server or its worker ended; its last lines are above")


def _prefect(*arguments: str) -> None:
    result = subprocess.run([*_PREFECT, *arguments], env=environment(), check=False)
    if result.returncode:
        raise UserError(f"`prefect {' '.join(arguments)}` failed; its message is above")


def _succeeds(*arguments: str) -> bool:
    quiet = subprocess.DEVNULL
    result = subprocess.run([*_PREFECT, *arguments], env=environment(), check=False, stdout=quiet, stderr=quiet)
    return result.returncode == 0


if __name__ == "__main__":
    main()
