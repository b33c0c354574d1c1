"""`make up` for real: a server, a worker, a schedule that fires, a run that is cancelled.

In a folder with a space in its path, behind a proxy that does not answer.
"""

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

from pipelines import serve
from tests.pipelines.test_process import is_alive
from tests.pipelines.toy import make_toy, write_dag
from tests.project import ROOT, environment, run

pytestmark = [pytest.mark.slow, pytest.mark.server]
DEAD_PROXY = {"http_proxy": "http://127.0.0.1:9", "HTTP_PROXY": "http://127.0.0.1:9", "no_proxy": "", "NO_PROXY": ""}


class Server:
    def __init__(self, folder: Path):
        self.folder = folder
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "pipelines.serve", "--port", str(self.port)],
            cwd=folder,
            env=environment(folder, **DEAD_PROXY),
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
    folder = make_toy(tmp_path_factory.mktemp("serve") / "my project")
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


def gpu_slots(server: Server) -> int:
    limits = server.post("v2/concurrency_limits/filter", {})
    return {limit["name"]: limit["limit"] for limit in limits}["gpu"]


def test_gpu_slots_are_one_at_first_and_change_when_they_are_given(server: Server) -> None:
    assert gpu_slots(server) == 1
    api_url = f"http://127.0.0.1:{server.port}/api"
    for given, expected in ((2, 2), (None, 2), (1, 1)):
        code = f"from pipelines.serve import _set_gpu_slots; _set_gpu_slots({given})"
        result = run(server.folder, "python", "-c", code, PREFECT_API_URL=api_url)
        assert result.returncode == 0, result.stderr
        assert gpu_slots(server) == expected


def test_where_another_server_answers_nothing_is_deployed(server: Server, tmp_path: Path) -> None:
    pools = server.post("work_pools/filter", {})
    result = run(make_toy(tmp_path), "python", "-m", "pipelines.serve", "--port", str(server.port), timeout=60)
    assert result.returncode == 1
    (line,) = result.stderr.splitlines()
    assert line.startswith(f"serve: port {server.port} is taken")
    assert line.endswith(f"choose another: PREFECT_PORT={server.port + 1}")
    assert server.post("work_pools/filter", {}) == pools
    assert serve._listens(server.process.pid, server.port)
    with subprocess.Popen(["sleep", "60"]) as stranger:
        assert not serve._listens(stranger.pid, server.port)
        stranger.kill()


def test_a_run_without_a_server_is_one_message(tmp_path: Path) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    result = run(ROOT, "python", "-m", "pipelines.serve", "--run-now", "--port", str(port), PREFECT_HOME=str(tmp_path))
    assert (result.returncode, result.stdout) == (1, "")
    expected = f"serve: no Prefect server answers at http://127.0.0.1:{port}/api; start one in another terminal: make up\n"
    assert result.stderr == expected


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


def test_a_run_is_started_on_the_server_that_is_up(server: Server) -> None:
    result = run(server.folder, "python", "-m", "pipelines.serve", "--run-now", "--port", str(server.port), **DEAD_PROXY)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "Created flow run" in result.stdout


def test_stopping_leaves_no_server_and_no_worker(server: Server) -> None:
    children = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children").read_text().split()
    assert len(children) == 4  # the server, its worker, and the guard of each
    server.process.send_signal(signal.SIGTERM)
    assert server.process.wait(60) == 0
    assert not any(is_alive(int(pid)) for pid in children)
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", server.port)) != 0
