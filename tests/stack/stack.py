"""A stack in a toy project, as a person starts and ends it: a process, its output, its API."""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

from pipelines.stack.prefect_api import PrefectApi
from pipelines.stack.running import processes_of_run
from tests.pipelines.test_process import still_alive
from tests.project import environment, run

DEAD_PROXY = {"http_proxy": "http://127.0.0.1:9", "HTTP_PROXY": "http://127.0.0.1:9", "no_proxy": "", "NO_PROXY": ""}


def free_port() -> int:
    """Nobody listens on it; and nobody is given it before its server starts, as those are that the system itself chooses
    (on Linux from 32768 on, for every connection)."""
    while True:
        port = secrets.choice(range(10_000, 32_000))
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def often(folder: Path) -> None:
    """The nightly schedule, every 8 seconds."""
    nightly = (folder / "prefect.yaml").read_text()
    changed = nightly.replace('- cron: "0 3 * * *"\n        timezone: UTC', "- interval: 8")
    assert changed != nightly
    (folder / "prefect.yaml").write_text(changed)


class Stack:
    """The stack of one project; `start` and `end` it as often as the test wants."""

    def __init__(self, folder: Path, **more: str):
        self.folder = folder
        self.ports = {"PREFECT_PORT": str(free_port()), "MLFLOW_PORT": str(free_port())}
        self.variables = {**DEAD_PROXY, **self.ports, "PREFECT_WORKER_QUERY_SECONDS": "2", **more}
        self.api = PrefectApi(f"http://127.0.0.1:{self.ports['PREFECT_PORT']}/api")
        self.process: subprocess.Popen[str] | None = None
        self.lines: list[str] = []

    def start(self) -> None:
        self.lines = []
        self.process = subprocess.Popen(
            [sys.executable, "-m", "pipelines.stack", "up"],
            cwd=self.folder,
            env=environment(self.folder, **self.variables),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.reader = threading.Thread(target=self._read, args=(self.process, self.lines), daemon=True)
        self.reader.start()
        self.wait_for("ready", lambda: any(line.startswith("ready:") for line in self.lines))

    @staticmethod
    def _read(process: subprocess.Popen[str], lines: list[str]) -> None:
        assert process.stdout is not None
        lines.extend(iter(process.stdout.readline, ""))

    @property
    def is_up(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def end(self, signum: int = signal.SIGINT, seconds: float = 180) -> int:
        """Ends it as Ctrl-C (SIGINT) or as a service manager (SIGTERM) does; returns its exit status."""
        assert self.process is not None
        self.process.send_signal(signum)
        try:
            status = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.cut_power()
            raise
        self.reader.join(60)  # its last lines may still be in the pipe
        return status

    def cut_power(self) -> None:
        """Kills all that it started at once: servers, worker, flow runs, trainings, and the guards of each.

        Returns when they are gone: a process that was killed still has to be torn down, which takes as long as it takes.
        """
        assert self.process is not None
        active = [found["id"] for found in self.api.flow_runs("PENDING", "RUNNING", "CANCELLING")]
        stopped: set[psutil.Process] = set()
        while new := self._everything(active) - stopped:  # what was started while the others were being stopped
            for process in new:
                with contextlib.suppress(psutil.Error):
                    process.suspend()  # so that nobody sees the others die
            stopped |= new
        for process in stopped:
            with contextlib.suppress(psutil.Error):
                process.kill()
        self.process.wait(30)
        assert not still_alive(process.pid for process in stopped)

    def _everything(self, runs: list[str]) -> set[psutil.Process]:
        assert self.process is not None
        stack = psutil.Process(self.process.pid)
        return {
            stack,
            *stack.children(recursive=True),
            *(process for run_id in runs for process in processes_of_run(run_id)),
        }

    def command(self, name: str, **more: str) -> subprocess.CompletedProcess[str]:
        return run(self.folder, "python", "-m", "pipelines.stack", name, **{**self.variables, **more}, timeout=200)

    def log(self) -> str:
        logs = sorted((self.folder / ".stack/logs").glob("*.log"))
        tails = [f"--- {path.name}\n" + "\n".join(path.read_text().splitlines()[-30:]) for path in logs]
        return "\n".join(["".join(self.lines[-40:]), *tails])

    def wait_for(self, what: str, ready: Callable[[], Any], seconds: float = 240) -> Any:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            assert self.is_up, self.log()
            if result := ready():
                return result
            time.sleep(0.25)
        raise AssertionError(f"{what} did not happen within {seconds} s\n{self.log()}")

    def runs(self, *states: str) -> list[dict[str, Any]]:
        """The runs of the schedule in one of these kinds of state."""
        return [found for found in self.api.flow_runs(*states) if found["auto_scheduled"]]

    def state(self, run_id: str) -> str:
        return str(self.api.get(f"flow_runs/{run_id}")["state_type"])

    def gpu_slots(self) -> tuple[int, int]:
        """Slots in use, slots in all."""
        limit = self.api.get("v2/concurrency_limits/gpu")
        return int(limit["active_slots"]), int(limit["limit"])

    def deployment_slots(self) -> int:
        """Slots of the deployment in use."""
        limits = self.api.post("v2/concurrency_limits/filter", {})
        return sum(int(limit["active_slots"]) for limit in limits if limit["name"].startswith("deployment:"))


def kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
