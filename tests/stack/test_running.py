"""What a data folder knows of its stack, and what is set, without any server."""

import subprocess
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import ClassVar

import psutil
import pytest

from pennet.errors import UserError
from pipelines.stack.__main__ import main
from pipelines.stack.prefect_api import NotThere, PrefectApi
from pipelines.stack.running import (
    Note,
    end_left_over_parts,
    is_up,
    processes_of_run,
    processes_of_worker,
    read_note,
    sole,
    stack_lock,
    started,
    worker_name,
)
from pipelines.stack.settings import settings
from tests.pipelines.test_process import is_alive


def note(**parts: tuple[int, float]) -> Note:
    return Note(1, 0.0, "http://127.0.0.1:1", "http://127.0.0.1:2", parts)


def test_a_stack_is_up_as_long_as_its_lock_is_held(tmp_path: Path) -> None:
    assert not is_up(tmp_path)
    with sole(stack_lock(tmp_path), "taken"):
        assert is_up(tmp_path)
        with pytest.raises(UserError, match=r"^taken$"), sole(stack_lock(tmp_path), "taken"):
            pass
    assert not is_up(tmp_path)


@pytest.mark.parametrize("text", [None, "", "{", "[]", '{"supervisor": 1}'])
def test_a_note_that_cannot_be_read_is_none(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / "stack.json").write_text(text)
    assert read_note(tmp_path) is None
    assert end_left_over_parts(tmp_path) == []


def test_parts_that_are_left_over_are_ended_and_no_others(tmp_path: Path) -> None:
    """A number that has been given to another process since is not one of them."""
    with subprocess.Popen(["sleep", "600"]) as mine, subprocess.Popen(["sleep", "600"]) as other:
        try:
            note(prefect=(mine.pid, started(mine.pid)), worker=(other.pid, started(other.pid) - 60)).write(tmp_path)
            assert end_left_over_parts(tmp_path) == ["prefect"]
            assert not is_alive(mine.pid)
            assert is_alive(other.pid)
        finally:
            other.kill()


def test_a_worker_keeps_its_name(tmp_path: Path) -> None:
    name = worker_name(tmp_path)
    assert name == worker_name(tmp_path)
    assert not set(name) & set("/%&<> ")  # which Prefect refuses
    assert name != worker_name(tmp_path / "another")


def test_processes_of_a_run_are_found_by_what_they_were_started_with() -> None:
    variables = {"PREFECT__FLOW_RUN_ID": "run-of-this-test", "PREFECT__WORKER_NAME": "worker-of-this-test"}
    with subprocess.Popen(["sh", "-c", "sleep 600; true"], env={"PATH": "/usr/bin:/bin", **variables}) as process:
        family = {process.pid}
        deadline = time.monotonic() + 30
        while len(family) < 2 and time.monotonic() < deadline:  # the shell's child, too
            family |= {child.pid for child in psutil.Process(process.pid).children()}
        try:
            assert {found.pid for found in processes_of_run("run-of-this-test")} == family
            assert {found.pid for found in processes_of_worker("worker-of-this-test")} == family
            assert processes_of_run("another") == []
        finally:
            for member in processes_of_run("run-of-this-test"):
                member.kill()


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"PREFECT_PORT": "x"}, "PREFECT_PORT is 'x'; it must be a whole number from 1 to 65535"),
        ({"MLFLOW_PORT": "70000"}, "MLFLOW_PORT is '70000'; it must be a whole number from 1 to 65535"),
        ({"GPU_SLOTS": "0"}, "GPU_SLOTS is '0'; it must be a whole number from 1 to 1024"),
        ({"PREFECT_PORT": "5000"}, "PREFECT_PORT and MLFLOW_PORT are both 5000; give each server a port of its own"),
    ],
)
def test_a_setting_that_cannot_be_is_one_message(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], message: str
) -> None:
    for name in ("PREFECT_PORT", "MLFLOW_PORT", "GPU_SLOTS"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(UserError) as error:
        settings()
    assert str(error.value) == message


@pytest.mark.parametrize("command", ["worker", "deploy"])
def test_commands_for_a_server_say_how_it_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, command: str) -> None:
    monkeypatch.setattr("sys.argv", ["stack", command])
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path))
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    with pytest.raises(SystemExit, match=f"^{command}: PREFECT_API_URL says "):
        main()


class BusyOnce(BaseHTTPRequestHandler):
    """As Prefect answers while SQLite is locked; then as it does."""

    answers: ClassVar[list[int]] = []

    def do_GET(self) -> None:
        status = self.answers.pop(0)
        self.send_response(status)
        self.end_headers()
        self.wfile.write(b'{"name": "gpu"}' if status == 200 else b"busy")

    def log_message(self, *arguments: object) -> None:
        pass


def test_a_server_that_is_busy_is_asked_again_and_one_that_refuses_is_not() -> None:
    with HTTPServer(("127.0.0.1", 0), BusyOnce) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        api = PrefectApi(f"http://127.0.0.1:{server.server_port}/api")
        BusyOnce.answers[:] = [503, 200, 404, 500]
        assert api.get("limit") == {"name": "gpu"}
        with pytest.raises(NotThere, match="refused GET limit: 404 busy"):
            api.get("limit")
        with pytest.raises(UserError, match="refused GET limit: 500 busy"):
            api.get("limit")
        server.shutdown()
    with pytest.raises(UserError, match=r"no Prefect server answers at http://127\.0\.0\.1"):
        api.get("limit")
