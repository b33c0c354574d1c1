"""Downloads against a real server that does what servers and networks do."""

import contextlib
import hashlib
import socket
import struct
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from pennet.data.download import fetch
from pennet.errors import TransientError, UserError
from pennet.metrics import weights

CONTENT = bytes(range(256)) * 8000
HALF = CONTENT[: len(CONTENT) // 2]
SHA256 = hashlib.sha256(CONTENT).hexdigest()
REMEDY = "get it elsewhere"


class Handler(BaseHTTPRequestHandler):
    """The path says what to do."""

    protocol_version = "HTTP/1.1"
    closing = threading.Event()

    def do_GET(self) -> None:
        kind = self.path.strip("/").partition(".")[0]
        self.close_connection = True
        if kind.isdecimal():
            self.send_error(int(kind))
            return
        if kind == "silent":
            self.closing.wait(30)
            return
        self.send_response(200)
        length = {"whole": len(CONTENT), "short": len(HALF), "nonsense": "many"}.get(kind, len(CONTENT))
        if kind in ("chunked", "cutchunk"):
            self.send_header("Transfer-Encoding", "chunked")
        elif kind != "unsaid":
            self.send_header("Content-Length", str(length))
        self.end_headers()
        if kind in ("chunked", "cutchunk"):
            self.wfile.write(b"%x\r\n" % len(CONTENT))
            self.wfile.write(CONTENT + b"\r\n0\r\n\r\n" if kind == "chunked" else HALF)
        elif kind in ("whole", "short", "unsaid", "nonsense"):
            self.wfile.write(CONTENT)
        elif kind == "other":
            self.wfile.write(bytes(len(CONTENT)))
        else:
            self.wfile.write(HALF)
        if kind == "stalled":
            self.closing.wait(30)
        if kind == "reset":
            self.wfile.flush()
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()

    def finish(self) -> None:
        with contextlib.suppress(OSError, ValueError):  # a reset connection has nothing left to flush
            super().finish()

    def log_message(self, *arguments: object) -> None:
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """The client went away, as some tests want it to."""


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    http = Server(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=http.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{http.server_port}"
    Handler.closing.set()
    http.shutdown()
    http.server_close()


def test_file_is_copied(tmp_path: Path) -> None:
    (tmp_path / "source.zip").write_bytes(CONTENT)
    fetch(str(tmp_path / "source.zip"), tmp_path / "archive.zip", SHA256, REMEDY)
    assert (tmp_path / "archive.zip").read_bytes() == CONTENT


@pytest.mark.parametrize("name", ["whole.zip", "chunked.zip", "unsaid.zip", "nonsense.zip", "whole.zip?version=2"])
def test_file_is_downloaded(server: str, tmp_path: Path, name: str) -> None:
    fetch(f"{server}/{name}", tmp_path / "a" / "archive.zip", SHA256, REMEDY)
    assert (tmp_path / "a" / "archive.zip").read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("cut.zip", r"the connection broke after 1,024,000 of 2,048,000 bytes"),
        ("cutchunk.zip", r"IncompleteRead"),
        ("reset.zip", r"[Rr]eset|the connection broke"),
        ("stalled.zip", r"no answer in 0\.5 s"),
        ("silent.zip", r"no answer in 0\.5 s"),
        ("503.zip", r"the server answers 503 Service Unavailable"),
        ("429.zip", r"the server answers 429 Too Many Requests"),
        ("408.zip", r"the server answers 408"),
    ],
)
def test_what_may_pass_is_named_and_worth_another_try(server: str, tmp_path: Path, name: str, message: str) -> None:
    (tmp_path / "archive.zip").write_bytes(b"old")
    with pytest.raises(TransientError, match=rf"/{name}: cannot be downloaded.*({message}).*{REMEDY}"):
        fetch(f"{server}/{name}", tmp_path / "archive.zip", SHA256, REMEDY, timeout_seconds=0.5)
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"old"]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("404.zip", r"the server answers 404 Not Found"),
        ("403.zip", r"the server answers 403"),
        ("other.zip", rf"sha256 is [0-9a-f]{{64}}, expected {SHA256}"),
        ("short.zip", rf"sha256 is {hashlib.sha256(HALF).hexdigest()}, expected"),
    ],
)
def test_what_will_not_pass_is_named_and_final(server: str, tmp_path: Path, name: str, message: str) -> None:
    (tmp_path / "archive.zip").write_bytes(b"old")
    with pytest.raises(UserError, match=rf"/{name}: .*{message}.*{REMEDY}") as caught:
        fetch(f"{server}/{name}", tmp_path / "archive.zip", SHA256, REMEDY)
    assert not isinstance(caught.value, TransientError)
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"old"]


@pytest.mark.parametrize(
    "url", ["http://[::1", "http://127.0.0.1:port/a.zip", "http://127.0.0.1/a b.zip", "http://a..b/é.zip"]
)
def test_address_that_is_none_is_final(tmp_path: Path, url: str) -> None:
    with pytest.raises(UserError, match=r"cannot be downloaded .*correct the address") as caught:
        fetch(url, tmp_path / "archive.zip", SHA256, REMEDY)
    assert not isinstance(caught.value, TransientError)


def test_unreachable_server_is_named(tmp_path: Path) -> None:
    with pytest.raises(TransientError, match=r"127\.0\.0\.1:9.*cannot be downloaded.*refused"):
        fetch("http://127.0.0.1:9/archive.zip", tmp_path / "archive.zip", SHA256, REMEDY)


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"nowhere\.zip: no such file; get it elsewhere"):
        fetch(str(tmp_path / "nowhere.zip"), tmp_path / "archive.zip", SHA256, REMEDY)


def test_loopback_is_asked_directly_whatever_proxy_is_set(
    server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    for host in ("127.0.0.1", "localhost"):
        fetch(f"{server}/whole.zip".replace("127.0.0.1", host), tmp_path / "archive.zip", SHA256, REMEDY)


def test_other_hosts_go_through_the_proxy_which_is_named_without_its_password(
    server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server stands in for a proxy: it is asked for `http://elsewhere.invalid/...` and sends half a file."""
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("http_proxy", server.replace("://", "://me:secret@"))
    with pytest.raises(TransientError, match=rf"through the proxy {server.partition('//')[2]}") as caught:
        fetch("http://elsewhere.invalid/archive.zip", tmp_path / "archive.zip", SHA256, REMEDY)
    assert "secret" not in str(caught.value)


def test_disk_that_refuses_is_no_fault_of_the_server(server: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="file") as caught:
        fetch(f"{server}/whole.zip", tmp_path / "file" / "archive.zip", SHA256, REMEDY)
    assert not isinstance(caught.value, UserError)


@pytest.mark.parametrize("name", ["404.pth", "cut.pth", "other.pth"])
def test_weights_come_the_same_way(server: str, tmp_path: Path, name: str) -> None:
    path = tmp_path / "weights.pth"
    assert weights.download(f"{server}/whole.pth", path, SHA256, REMEDY).read_bytes() == CONTENT
    with pytest.raises(weights.WeightsUnavailable, match=rf"/{name}: .*{REMEDY}"):
        weights.download(f"{server}/{name}", path, SHA256, REMEDY)
    assert [found.read_bytes() for found in tmp_path.iterdir()] == [CONTENT]
