"""`pennet studio` as a process: its port, its files, its end."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import urllib.request
from pathlib import Path

import pytest

from tests.studio.running import command, environment, running, wait_until, write_photo

pytestmark = [pytest.mark.slow, pytest.mark.server]


def refused(folder: Path, *options: str) -> str:
    """The one message of a page that does not start."""
    result = subprocess.run(
        command(*options), cwd=folder, env=environment(folder), capture_output=True, text=True, timeout=120, check=False
    )
    assert result.returncode == 1
    assert result.stdout == ""
    assert result.stderr.count("\n") == 1
    assert list(folder.iterdir()) == []
    return result.stderr


def test_a_strangers_port_is_refused_with_one_message(tmp_path: Path) -> None:
    with socket.socket() as stranger:
        stranger.bind(("127.0.0.1", 0))
        stranger.listen()
        port = stranger.getsockname()[1]
        message = refused(tmp_path, "--port", str(port))
    assert message.startswith(f"pennet: studio: cannot listen on 127.0.0.1 port {port}")
    assert f"--port {port + 1}" in message


def test_a_model_or_a_comparison_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    assert "--model nowhere: no such file or folder" in refused(tmp_path, "--port", "0", "--model", "nowhere")
    assert "--comparison nowhere: no such folder" in refused(tmp_path, "--port", "0", "--comparison", "nowhere")


def test_it_listens_on_loopback_uploads_go_after_a_while_and_all_with_the_page(tmp_path: Path) -> None:
    write_photo(tmp_path / "a.png", 0)
    with running(tmp_path / "page", "--keep-minutes", "0.05") as studio:
        if Path("/proc/net/tcp").exists():
            assert listening_on(int(studio.url.rstrip("/").rpartition(":")[2])) == ["0100007F"]  # loopback alone
        with urllib.request.urlopen(studio.url) as answer:
            assert "default-src 'self'" in answer.headers["Content-Security-Policy"]
        before = set(studio.kept())  # the page's own, such as its examples
        form = b'--x\r\nContent-Disposition: form-data; name="files"; filename="a.png"\r\n\r\n%b\r\n--x--\r\n'
        request = urllib.request.Request(
            f"{studio.url}gradio_api/upload",
            form % (tmp_path / "a.png").read_bytes(),
            {"Content-Type": "multipart/form-data; boundary=x"},
        )
        with urllib.request.urlopen(request) as answer:
            uploaded = Path(json.loads(answer.read())[0])
        assert uploaded.is_relative_to(studio.temporary)
        assert uploaded.read_bytes() == (tmp_path / "a.png").read_bytes()
        wait_until(lambda: not uploaded.exists())
        assert set(studio.kept()) <= before
        assert studio.end(signal.SIGTERM) == 143
        assert list(studio.temporary.iterdir()) == []


def listening_on(port: int) -> list[str]:
    """The addresses that somebody listens on with a port, as the kernel writes them."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return [row[1].partition(":")[0] for row in rows if row[1].endswith(f":{port:04X}") and row[3] == "0A"]
