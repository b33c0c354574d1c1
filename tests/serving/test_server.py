"""`make serve` for real: a process on loopback, asked by many at once, and stopped in the middle of a request."""

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from urllib.parse import urlsplit

import httpx
import pytest

from benchmarks.serving import draw_pairs, load, plan, server
from pennet.picture_pairs import png
from pipelines.tracking.served import Served, load_served
from tests.project import ROOT
from tests.serving.conftest import MODEL, NAME

pytestmark = pytest.mark.server
WAIT_SECONDS = 240

Running = tuple[str, subprocess.Popen[str]]


@pytest.fixture(scope="module")
def served(store: str) -> Served:
    return load_served(MODEL, store, "cpu")


@pytest.fixture(scope="module")
def running(store: str) -> Iterator[Running]:
    with server("--model", MODEL, "--store", store, "--max-requests", "5") as url_and_process:
        yield url_and_process


def test_eight_clients_each_get_their_own_pictures(running: Running, served: Served) -> None:
    """Three clients too many for the server at any time: they are told to come again, and nothing is lost."""
    pairs = draw_pairs(10, (16, 64))
    jobs = plan(pairs, [served.fill(image, mask) for image, mask in pairs], 24)
    result = load(running[0], jobs, num_clients=8)
    assert (len(result.seconds), result.num_pictures) == (24, 29)


def test_it_says_which_version_it_serves(running: Running) -> None:
    page = httpx.get(running[0], trust_env=False, timeout=WAIT_SECONDS).json()
    assert (page["model"]["name"], page["model"]["version"]) == (NAME, "1")
    assert page["limits"]["max_requests"] == 5


def test_a_port_that_is_taken_is_named(running: Running, store: str) -> None:
    port = str(urlsplit(running[0]).port)
    command = [sys.executable, "-m", "pipelines.serving", "--port", port, "--store", store]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=WAIT_SECONDS, check=False)
    assert result.returncode == 1
    assert result.stderr.startswith(f"serving: port {port} is taken")
    assert "SERVE_PORT=" in result.stderr


def wait_until_nobody_listens(address: tuple[str, int | None]) -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < deadline:
        try:
            socket.create_connection(address, timeout=WAIT_SECONDS).close()
        except OSError:
            return
        time.sleep(0.05)
    raise AssertionError("the server still takes new connections")


def test_a_stopped_server_finishes_what_was_begun(running: Running, served: Served) -> None:
    """The last test of this file, and of its server: half a request, SIGTERM, the other half, and the answer."""
    url, process = running
    ((image, mask),) = draw_pairs(1, (16, 64))
    request = httpx.Client(base_url=url).build_request(
        "POST", "/inpaint", files={"image": png(image), "mask": png(255 * mask)}
    )
    body = request.read()
    address = ("127.0.0.1", urlsplit(url).port)
    with socket.create_connection(address, timeout=WAIT_SECONDS) as connection:
        head = "".join(f"{name}: {value}\r\n" for name, value in request.headers.items())
        connection.sendall(f"POST /inpaint HTTP/1.1\r\n{head}\r\n".encode() + body[:100])
        httpx.get(f"{url}/health", trust_env=False, timeout=WAIT_SECONDS)  # the server has seen what was sent before this
        process.terminate()
        wait_until_nobody_listens(address)
        connection.sendall(body[100:])
        answer = b"".join(iter(lambda: connection.recv(1 << 16), b""))
    assert answer.startswith(b"HTTP/1.1 200 OK")
    assert answer.partition(b"\r\n\r\n")[2] == png(served.fill(image, mask))
    assert process.wait(WAIT_SECONDS) == 0
