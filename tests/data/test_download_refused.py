"""What is not the file, and is refused: wrong bytes, web pages, no archives."""

import contextlib
import io
import socketserver
import subprocess
import tarfile
import threading
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pennet.data.sources.download import Remote
from pennet.errors import UserError
from tests.data.downloading import ARCHIVE, CONTENT, CUT, PAGE, REMEDY, SHA256, Place, corrupted, cut_before
from tests.data.server import Answer, Server, running


def test_wrong_file_that_came_at_once_is_not_asked_for_again(server: Server, place: Place) -> None:
    server.answers[ARCHIVE] = [Answer(body=corrupted(CONTENT))]
    with pytest.raises(UserError, match="sha256 is"):
        place.fetch(f"{server.url}/{ARCHIVE}")
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (Answer(length="2000000"), "it has 2,000,000 bytes there, expected 3,000,000"),
        (Answer(length=str(10**18)), f"it has {10**18:,} bytes there, expected 3,000,000"),
        (Answer(chunked=True, body=CONTENT + b"more"), "it has 3,000,004 bytes, expected 3,000,000"),
    ],
)
def test_file_of_another_size_is_refused(server: Server, place: Place, answer: Answer, message: str) -> None:
    server.answers[ARCHIVE] = [answer]
    with pytest.raises(UserError, match=message):
        place.fetch(f"{server.url}/{ARCHIVE}", size_bytes=len(CONTENT))
    assert not list(place.partial_dir.iterdir())


@pytest.mark.parametrize(
    "page",
    [
        Answer(body=PAGE, ranges=False),
        Answer(body=PAGE, ranges=False, headers={"Content-Type": "text/html; charset=utf-8"}),
        Answer(body=b"Please log in", ranges=False, headers={"Content-Type": "text/html"}),
    ],
    ids=["looks", "both", "says"],
)
@pytest.mark.parametrize("kind", ["zip", "tar", "any"])
def test_web_page_is_refused_and_spares_what_is_here(server: Server, place: Place, page: Answer, kind: str) -> None:
    url = cut_before(server, place, page)
    with pytest.raises(UserError, match=rf"sends a web page instead of the file.*open the address in a browser.*{REMEDY}"):
        place.fetch(url, sha256=SHA256, kind=kind)
    assert place.kept() == [CONTENT[:CUT]]
    assert len(server.requests) == 1


@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_what_is_no_archive_is_refused_by_its_first_bytes(server: Server, place: Place, kind: str) -> None:
    server.answers[ARCHIVE] = [Answer(body=b'{"error": "quota"}' + bytes(2_000_000))]
    with pytest.raises(UserError, match=f'it is no {kind} archive, it begins with b\'{{"error": "quota\''):
        place.fetch(f"{server.url}/{ARCHIVE}", kind=kind)
    assert not list(place.partial_dir.iterdir())


def zipped(folder: Path) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        archive.write(folder / "a.bin", "a.bin")
    return target.getvalue()


def by_tar(*options: str) -> Callable[[Path], bytes]:
    return lambda folder: (
        subprocess.run(["tar", "-c", *options, "a.bin"], cwd=folder, check=True, capture_output=True).stdout
    )


def by_pzstd(folder: Path) -> bytes:
    """As pzstd writes them: a frame to be skipped that says how long the next one is, then that one."""
    frame = pytest.importorskip("zstandard").compress(by_tar()(folder))
    return b"\x50\x2a\x4d\x18\4\0\0\0" + len(frame).to_bytes(4, "little") + frame


def by_tarfile(mode: str) -> Callable[[Path], bytes]:
    def pack(folder: Path) -> bytes:
        target = io.BytesIO()
        with tarfile.open(fileobj=target, mode=mode) as archive:  # type: ignore[call-overload]
            archive.add(folder / "a.bin", "a.bin")
        return target.getvalue()

    return pack


@pytest.mark.parametrize(
    ("kind", "pack"),
    [
        ("zip", zipped),
        *(("tar", by_tar("--format", name)) for name in ("gnu", "posix", "ustar", "v7")),
        *(("tar", by_tarfile(mode)) for mode in ("w:gz", "w:bz2", "w:xz")),
        ("tar", by_pzstd),
    ],
)
def test_real_archives_are_taken_whatever_they_are_called(
    place: Place, tmp_path: Path, kind: str, pack: Callable[[Path], bytes]
) -> None:
    (tmp_path / "a.bin").write_bytes(CONTENT[:10_000])
    content = pack(tmp_path)
    with running(content) as server:
        place.fetch(f"{server.url}/file?download=1", kind=kind)
    assert place.path.read_bytes() == content


@pytest.mark.parametrize(
    ("urls", "known", "message"),
    [
        ((), {"sha256": SHA256}, "no urls"),
        (("a.zip",), {}, "a.zip: nothing says what it must be"),
        (("a.zip",), {"kind": "rar"}, "kind 'rar': must be one of zip, tar, archive, any"),
    ],
)
def test_file_that_cannot_be_known_is_refused(urls: tuple[str, ...], known: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Remote(urls, **known)  # type: ignore[arg-type]


@contextlib.contextmanager
def saying(words: bytes) -> Iterator[str]:
    """The address of a server that answers everything with these words, whatever they are."""

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with contextlib.suppress(OSError):
                self.request.recv(1 << 16)
                self.request.sendall(words)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/{ARCHIVE}"
        server.shutdown()


OK = b"HTTP/1.1 200 OK\r\n"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (b"", "closed connection without response"),
        (b"hello\r\nworld\r\n", r"cannot be downloaded \(hello\)"),
        (b"HTTP/1.1 404 \x1b[31mred\x07\r\n\r\n", r"the server answers 404 \?\[31mred\?\)"),
        (b"HTTP/1.1 503\r\n\r\n", r"the server answers 503\)"),
        (b"HTTP/1.1 302 Found\r\nLocation: /again\r\n\r\n", "would lead to an infinite loop"),
        (b"HTTP/1.1 302 Found\r\nLocation: file:///etc/passwd\r\n\r\n", "is not allowed"),
        (b"HTTP/1.1 302 Found\r\nLocation: http://[bad\r\n\r\n", "Invalid IPv6 URL"),
        (OK + b"X: y\r\n" * 200, "more than 100 headers"),
        (OK + b"X: " + b"y" * 100_000, "more than 65536 bytes"),
        (OK + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n", "IncompleteRead"),
        (OK + b"Content-Length: %d\r\n\r\n" % 10**30, "more bytes are needed"),
        (b"HTTP/1.1 204 No Content\r\n\r\n", "sha256 is"),
        (b"HTTP/1.1 206 Partial Content\r\nContent-Length: 5\r\n\r\n12345", "asked for bytes from 0 on"),
        (OK + b"Content-Length: 5\r\nContent-Length: 9\r\n\r\n12345", "sha256 is"),
    ],
)
def test_what_is_no_proper_answer_ends_in_one_line(place: Place, words: bytes, message: str) -> None:
    with saying(words) as url, pytest.raises(UserError, match=message) as raised:
        place.fetch(url, attempts=1)
    assert str(raised.value).isprintable()
    assert not place.path.exists()
