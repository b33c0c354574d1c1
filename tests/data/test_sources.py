import hashlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from pennet.data.sources import fetch

CONTENT = bytes(range(256)) * 8000
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path == "/missing.zip":
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(CONTENT)))
        self.end_headers()
        self.wfile.write(CONTENT if self.path == "/whole.zip" else CONTENT[: len(CONTENT) // 2])

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[str]:
    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=http.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{http.server_port}"
    http.shutdown()
    http.server_close()


def test_fetch_downloads_over_http(server: str, tmp_path: Path) -> None:
    fetch(f"{server}/whole.zip", SHA256, tmp_path / "a" / "archive.zip")
    assert (tmp_path / "a" / "archive.zip").read_bytes() == CONTENT


def test_fetch_copies_a_file(tmp_path: Path) -> None:
    (tmp_path / "source.zip").write_bytes(CONTENT)
    fetch(str(tmp_path / "source.zip"), SHA256, tmp_path / "archive.zip")
    assert (tmp_path / "archive.zip").read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("name", "message"), [("missing.zip", "answers 404"), ("cut.zip", "truncated|cannot be downloaded|sha256")]
)
def test_failed_download_is_named_and_leaves_nothing(server: str, tmp_path: Path, name: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        fetch(f"{server}/{name}", SHA256, tmp_path / "archive.zip")
    assert list(tmp_path.iterdir()) == []


def test_wrong_checksum_names_both_and_leaves_the_old_file(tmp_path: Path) -> None:
    (tmp_path / "source.zip").write_bytes(CONTENT)
    (tmp_path / "archive.zip").write_bytes(b"old")
    with pytest.raises(ValueError, match=f"sha256 is {SHA256}, expected {'0' * 64}"):
        fetch(str(tmp_path / "source.zip"), "0" * 64, tmp_path / "archive.zip")
    assert (tmp_path / "archive.zip").read_bytes() == b"old"


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"nowhere\.zip: no such file"):
        fetch(str(tmp_path / "nowhere.zip"), SHA256, tmp_path / "archive.zip")


def test_unreachable_server_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"127\.0\.0\.1:9.*cannot be downloaded"):
        fetch("http://127.0.0.1:9/archive.zip", SHA256, tmp_path / "archive.zip")
