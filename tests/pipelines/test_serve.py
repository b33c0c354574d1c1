"""`make up` for real: a server, a worker, a schedule that fires, a run that is cancelled."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.pipelines.test_process import is_alive
from tests.pipelines.toy import make_toy, write_dag
from tests.project import environment

pytestmark = [pytest.mark.slow, pytest.mark.server]


class Server:
    def __init__(self, folder: Path):
        self.folder = folder
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "pipelines.serve", "--port", str(self.port)],
            cwd=folder,
            env=environment(folder),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.lines: list[str] = []
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line)

    def log(self) -> str:
        return "".join(self.lines[-80:])

    def post(self, path: str, body: dict[str, Any]) -> Any:
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/api/{path}",
            json.dumps(body).encode(),
            {"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=30) as response:
            return json.load(response)

    def runs(self, state: str) -> list[dict[str, Any]]:
        found = self.post("flow_runs/filter", {"flow_runs": {"state": {"type": {"any_": [state]}}}})
        return [entry for entry in found if entry["auto_scheduled"]]

    def wait_for(self, what: str, ready: Callable[[], Any], seconds: float = 180) -> Any:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            assert self.process.poll() is None, self.log()
            if result := ready():
                return result
            time.sleep(0.5)
        raise AssertionError(f"{what} did not happen within {seconds} s\n{self.log()}")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = make_toy(tmp_path_factory.mktemp("serve"))
    nightly = (folder / "prefect.yaml").read_text()
    often = nightly.replace('- cron: "0 3 * * *"\n        timezone: UTC', "- interval: 15")
    assert often != nightly
    (folder / "prefect.yaml").write_text(often)
    started = Server(folder)
    try:
        started.wait_for("ready", lambda: any(line.startswith("ready:") for line in started.lines))
        yield started
    finally:
        started.process.send_signal(signal.SIGINT)
        try:
            started.process.wait(60)
        except subprocess.TimeoutExpired:
            started.process.kill()


def test_the_schedule_fires_and_the_run_completes(server: Server) -> None:
    server.wait_for("a scheduled run", lambda: server.runs("COMPLETED"))
    assert (server.folder / "table.txt").read_text() == "data\n"


def test_there_is_a_gpu_slot(server: Server) -> None:
    limits = server.post("v2/concurrency_limits/filter", {})
    assert {limit["name"]: limit["limit"] for limit in limits}["gpu"] == 1


def test_a_cancelled_run_takes_its_training_with_it(server: Server) -> None:
    pid_file = server.folder / "pid"
    write_dag(server.folder, train="sh -c 'echo $$ > pid; exec sleep 600'")
    pid = int(server.wait_for("the training", lambda: pid_file.exists() and pid_file.read_text().strip()))
    try:
        assert is_alive(pid)
        (running,) = server.runs("RUNNING")
        server.post(f"flow_runs/{running['id']}/set_state", {"state": {"type": "CANCELLING"}, "force": False})
        server.wait_for("the training's end", lambda: not is_alive(pid), seconds=90)
        server.wait_for("the state", lambda: server.runs("CANCELLED"), seconds=90)
    finally:
        write_dag(server.folder)
        if is_alive(pid):
            os.kill(pid, signal.SIGKILL)


def test_stopping_leaves_no_server_and_no_worker(server: Server) -> None:
    children = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children").read_text().split()
    assert len(children) == 4  # the server, its worker, and the guard of each
    server.process.send_signal(signal.SIGTERM)
    assert server.process.wait(60) == 0
    assert not any(is_alive(int(pid)) for pid in children)
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", server.port)) != 0
