"""Servers of this machine behind a proxy that does not answer."""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from pipelines.loopback import answers, check_port_is_free, without_proxy
from tests.project import ROOT
from tests.stack.stack import free_port


class Hello(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def port() -> Iterator[int]:
    with HTTPServer(("127.0.0.1", 0), Hello) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


@pytest.fixture
def dead_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")


def test_a_server_of_this_machine_is_asked_directly(port: int, dead_proxy: None) -> None:
    assert answers(f"http://127.0.0.1:{port}/health")
    assert not answers("http://127.0.0.1:9/health")


@pytest.mark.parametrize("library", ["urllib.request.urlopen", "requests.get", "httpx.get"])
def test_what_our_processes_start_asks_it_directly_too(port: int, dead_proxy: None, library: str) -> None:
    """The libraries of our own code, of MLflow and of Prefect."""
    code = (
        f"import {library.rpartition('.')[0]} as library; library.{library.rpartition('.')[2]}('http://127.0.0.1:{port}/')"
    )
    command = [sys.executable, "-c", code]
    assert subprocess.run(command, cwd=ROOT, stderr=subprocess.DEVNULL, check=False, timeout=60).returncode != 0
    assert subprocess.run(command, cwd=ROOT, env=os.environ | without_proxy(), check=False, timeout=60).returncode == 0


def test_hosts_that_the_user_has_named_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "data.example, localhost")
    monkeypatch.setenv("NO_PROXY", "other.example")
    assert without_proxy()["NO_PROXY"] == "data.example,localhost,other.example,127.0.0.1,::1"
    monkeypatch.setenv("NO_PROXY", "*")
    assert set(without_proxy().values()) == {"*"}


def test_a_port_that_is_taken_is_named_with_the_variable_to_change(port: int) -> None:
    with pytest.raises(ValueError, match=f"port {port} is taken .*; choose another: PREFECT_PORT={port + 1}"):
        check_port_is_free(port, "PREFECT_PORT")
    check_port_is_free(free_port(), "PREFECT_PORT")
