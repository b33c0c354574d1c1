"""A Prefect server, its worker and the deployments of `prefect.yaml`, on this machine, until Ctrl-C: `make up`."""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from types import FrameType

from pipelines.process import child, environment

POOL = "gpu-pool"
GPU_SLOT = "gpu"
SERVER_START_SECONDS = 120
_HEALTH_POLL_SECONDS = 0.5


def main() -> None:
    """Starts the server, then what needs it; stops in the opposite order."""
    parser = argparse.ArgumentParser(description="Prefect server, worker and schedule on this machine, until Ctrl-C.")
    parser.add_argument("--port", type=int, default=4200, help="of the Prefect API and UI")
    parser.add_argument("--gpu-slots", type=int, default=1, help="trainings that may run at once")
    arguments = parser.parse_args()
    api_url = f"http://127.0.0.1:{arguments.port}/api"
    os.environ["PREFECT_API_URL"] = api_url
    for signum in (signal.SIGINT, signal.SIGTERM):  # SIGINT too: a shell's background jobs start with it ignored
        signal.signal(signum, _interrupt)
    try:
        with child(["prefect", "server", "start", "--host", "127.0.0.1", "--port", str(arguments.port)]) as server:
            _wait_until_healthy(api_url, server)
            _prefect("work-pool", "create", POOL, "--type", "process", "--overwrite")
            if not _succeeds("gcl", "inspect", GPU_SLOT):
                _prefect("gcl", "create", GPU_SLOT, "--limit", str(arguments.gpu_slots))
            _prefect("--no-prompt", "deploy", "--all")
            with child(["prefect", "worker", "start", "--pool", POOL]) as worker:
                print(f"ready: {api_url.removesuffix('/api')} - run one now: make run; stop: Ctrl-C", flush=True)
                _wait_for_either(server, worker)
    except KeyboardInterrupt:
        print("stopped")


def _interrupt(signum: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _wait_until_healthy(api_url: str, server: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + SERVER_START_SECONDS
    while time.monotonic() < deadline:
        if server.poll() is not None:
            sys.exit(f"serve: the Prefect server ended with status {server.returncode}; its last lines are above")
        try:
            with urllib.request.urlopen(f"{api_url}/health", timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(_HEALTH_POLL_SECONDS)
    sys.exit(f"serve: the Prefect server did not answer at {api_url} within {SERVER_START_SECONDS} s")


def _wait_for_either(server: subprocess.Popen[str], worker: subprocess.Popen[str]) -> None:
    while server.poll() is None and worker.poll() is None:
        time.sleep(_HEALTH_POLL_SECONDS)
    sys.exit("serve: the Prefect server or its worker ended; its last lines are above")


def _prefect(*arguments: str) -> None:
    result = subprocess.run(["prefect", *arguments], env=environment(), check=False)
    if result.returncode:
        sys.exit(f"serve: `prefect {' '.join(arguments)}` failed; its message is above")


def _succeeds(*arguments: str) -> bool:
    quiet = subprocess.DEVNULL
    return (
        subprocess.run(["prefect", *arguments], env=environment(), check=False, stdout=quiet, stderr=quiet).returncode == 0
    )


if __name__ == "__main__":
    main()
