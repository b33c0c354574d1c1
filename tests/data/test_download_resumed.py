"""Large downloads against a real server: cut, changed, lied to, refused, killed, and from mirrors."""

import contextlib
import errno
import fcntl
import hashlib
import io
import os
import random
import signal
import subprocess
import sys
import tarfile
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from email.utils import formatdate
from pathlib import Path
from typing import TextIO

import pytest

from pennet.data import download
from pennet.data.download import Remote, fetch_remote
from pennet.data.partial import kept
from pennet.errors import TransientError, UserError
from tests.data.server import Answer, Server, running

CONTENT = random.Random(0).randbytes(3_000_000)
OTHER = random.Random(1).randbytes(3_000_000)
CUT = 1_300_000
SHA256 = hashlib.sha256(CONTENT).hexdigest()
REMEDY = "get it elsewhere"
PAGE = b"<!DOCTYPE html><html><head><title>Quota exceeded</title></head></html>" + b" " * 5000
ARCHIVE = "archive.zip"


@pytest.fixture
def server() -> Iterator[Server]:
    with running(CONTENT) as http:
        yield http


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds that were waited, if one waited."""
    seconds: list[float] = []
    monkeypatch.setattr(download, "sleep", seconds.append)
    return seconds


@pytest.fixture(autouse=True)
def _nobody_waits(waits: list[float]) -> None:
    pass


class Place:
    """A folder to download to, and one for what is not whole yet."""

    def __init__(self, folder: Path) -> None:
        self.path, self.partial_dir = folder / "raw" / ARCHIVE, folder / "partial"

    def fetch(self, *urls: str, attempts: int = 3, timeout_seconds: float = 20.0, **known: object) -> str:
        remote = Remote(urls, **(known or {"sha256": SHA256}))  # type: ignore[arg-type]
        return fetch_remote(remote, self.path, self.partial_dir, REMEDY, timeout_seconds, attempts)

    def kept(self) -> list[bytes]:
        return [path.read_bytes() for path in self.partial_dir.glob("*.part")]

    def is_done(self, content: bytes = CONTENT) -> bool:
        return (
            self.path.read_bytes() == content
            and not list(self.partial_dir.iterdir())
            and len(list(self.path.parent.iterdir())) == 1
        )


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def ranges(server: Server) -> list[str | None]:
    return [request.range for request in server.requests]


def corrupted(content: bytes) -> bytes:
    return content[:1000] + bytes([content[1000] ^ 1]) + content[1001:]


def cut_before(server: Server, place: Place, *answers: Answer, at: int = CUT, **known: object) -> str:
    """A first call that is cut; the answers come after. Returns the address."""
    server.answers[ARCHIVE] = [Answer(cut_after=at), *(answers or [Answer()])]
    url = f"{server.url}/{ARCHIVE}"
    with pytest.raises(TransientError):
        place.fetch(url, attempts=1, **known)
    assert place.kept() == [CONTENT[:at]]
    server.requests.clear()
    server.answers[ARCHIVE] = list(answers or [Answer()])
    return url


def test_whole_file_leaves_nothing_else(server: Server, place: Place) -> None:
    assert place.fetch(f"{server.url}/{ARCHIVE}") == SHA256
    assert place.is_done()
    assert ranges(server) == [None]
    assert server.requests[0].headers["accept-encoding"] == "identity"


@pytest.mark.parametrize(
    "broken",
    [
        Answer(cut_after=CUT),
        Answer(cut_after=CUT, stall=True),
        Answer(cut_after=CUT, chunked=True),
        Answer(length=str(len(CONTENT)), body=CONTENT[:CUT]),
    ],
    ids=["cut", "stall", "chunked", "short"],
)
def test_broken_connection_costs_no_byte_twice(server: Server, place: Place, broken: Answer, waits: list[float]) -> None:
    server.answers[ARCHIVE] = [broken, Answer()]
    assert place.fetch(f"{server.url}/{ARCHIVE}", timeout_seconds=1.0) == SHA256
    assert place.is_done()
    assert ranges(server) == [None, f"bytes={CUT}-"]
    assert server.requests[1].headers["if-range"] == '"1"'
    assert server.sent == len(CONTENT)
    assert waits == [1.0]


def test_reset_connection_is_gone_on_from(server: Server, place: Place) -> None:
    """How much came before a reset is the kernel's to say."""
    server.answers[ARCHIVE] = [Answer(cut_after=CUT, reset=True), Answer()]
    assert place.fetch(f"{server.url}/{ARCHIVE}") == SHA256
    assert place.is_done()


def test_next_call_goes_on_where_the_last_one_ended(server: Server, place: Place) -> None:
    server.answers[ARCHIVE] = [Answer(cut_after=CUT), Answer()]
    with pytest.raises(
        TransientError, match=r"after 1,300,000 of 3,000,000 bytes\); try again to go on from the 1,300,000 bytes"
    ):
        place.fetch(f"{server.url}/{ARCHIVE}", attempts=1)
    assert place.kept() == [CONTENT[:CUT]]
    assert not place.path.exists()
    assert place.fetch(f"{server.url}/{ARCHIVE}", attempts=1) == SHA256
    assert place.is_done()
    assert server.sent == len(CONTENT)


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
def test_busy_server_is_asked_again_ever_later(server: Server, place: Place, waits: list[float], status: int) -> None:
    server.answers[ARCHIVE] = [Answer(status)] * 4 + [Answer()]
    place.fetch(f"{server.url}/{ARCHIVE}", attempts=5)
    assert place.is_done()
    assert waits == [1, 2, 4, 8]


@pytest.mark.parametrize(
    ("said", "least", "most"),
    [
        ("7", 7, 7),
        ("0", 0, 0),
        (formatdate(time.time() + 100_000, usegmt=True), 300, 300),
        (formatdate(time.time() - 100, usegmt=True), 0, 0),
        ("9" * 400, 300, 300),
        ("soon", 1, 1),
    ],
)
def test_server_says_when_to_ask_again(
    server: Server, place: Place, waits: list[float], said: str, least: float, most: float
) -> None:
    server.answers[ARCHIVE] = [Answer(429, headers={"Retry-After": said}), Answer()]
    place.fetch(f"{server.url}/{ARCHIVE}")
    assert len(waits) == 1
    assert least <= waits[0] <= most


def test_date_to_ask_again_is_waited_for(server: Server, place: Place, waits: list[float]) -> None:
    server.answers[ARCHIVE] = [Answer(503, headers={"Retry-After": formatdate(time.time() + 200, usegmt=True)}), Answer()]
    place.fetch(f"{server.url}/{ARCHIVE}")
    assert 0 < waits[0] <= 200


def test_server_that_stays_busy_is_given_up(server: Server, place: Place, waits: list[float]) -> None:
    server.answers[ARCHIVE] = [Answer(503)]
    with pytest.raises(
        TransientError, match=rf"/{ARCHIVE}: cannot be downloaded \(the server answers 503.*; try again, or {REMEDY}"
    ):
        place.fetch(f"{server.url}/{ARCHIVE}", attempts=3)
    assert len(server.requests) == 3
    assert waits == [1, 2]
    assert not list(place.partial_dir.iterdir())


def test_line_that_breaks_often_is_no_reason_to_give_up(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "CHUNK_BYTES", 100_000)
    with running(CONTENT) as server:
        server.answers[ARCHIVE] = [Answer(cut_after=200_000)]
        assert place.fetch(f"{server.url}/{ARCHIVE}", attempts=2) == SHA256
        assert len(server.requests) == 15
        assert server.sent == len(CONTENT)


def test_little_that_is_new_is_one(server: Server, place: Place) -> None:
    server.answers[ARCHIVE] = [Answer(cut_after=10)]
    with pytest.raises(TransientError, match="after 30 of 3,000,000 bytes"):
        place.fetch(f"{server.url}/{ARCHIVE}", attempts=3)


@pytest.mark.parametrize(
    "known", [{"sha256": SHA256}, {"md5": hashlib.md5(CONTENT).hexdigest().upper()}, {"size_bytes": len(CONTENT)}]
)
def test_any_knowledge_will_do(server: Server, place: Place, known: dict[str, object]) -> None:
    url = cut_before(server, place, **known)
    assert place.fetch(url, **known) == SHA256
    assert place.is_done()
    assert ranges(server) == [f"bytes={CUT}-"]


def test_no_checksum_is_computed_that_nobody_published(
    server: Server, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[str] = []
    new = hashlib.new
    monkeypatch.setattr(hashlib, "new", lambda name, *data, **options: made.append(name) or new(name, *data, **options))
    monkeypatch.setattr(hashlib, "md5", lambda *data, **options: made.append("md5"))
    url = cut_before(server, place)
    place.fetch(url)
    assert place.is_done()
    assert "md5" not in made


def test_other_version_is_downloaded_from_its_start(server: Server, place: Place) -> None:
    """The server heeds If-Range: it sends all of the new file."""
    known = {"sha256": hashlib.sha256(OTHER).hexdigest()}
    url = cut_before(server, place, Answer(body=OTHER, etag='"2"'), **known)
    place.fetch(url, **known)
    assert place.is_done(OTHER)
    assert ranges(server) == [f"bytes={CUT}-"]


@pytest.mark.parametrize(
    "other",
    [
        Answer(body=OTHER, etag='"2"', if_range=False),
        Answer(body=OTHER[:-5], etag=None, if_range=False),
        Answer(body=OTHER[:-5], headers={"Content-Range": f"bytes {CUT}-{len(OTHER) - 6}/{len(OTHER) - 5}"}, if_range=False),
    ],
    ids=["etag", "total", "same-etag"],
)
def test_other_version_is_noticed_if_the_server_mixes_them(server: Server, place: Place, other: Answer) -> None:
    known = {"kind": "any", "md5": hashlib.md5(other.body or b"").hexdigest()}
    url = cut_before(server, place, other, Answer(body=other.body), **known)
    place.fetch(url, **known)
    assert place.is_done(other.body or b"")
    assert ranges(server) == [f"bytes={CUT}-", None]


def test_other_version_of_the_same_size_is_noticed_without_a_checksum(server: Server, place: Place) -> None:
    other = Answer(body=OTHER, etag='"2"', if_range=False)
    url = cut_before(server, place, other, size_bytes=len(OTHER))
    place.fetch(url, size_bytes=len(OTHER))
    assert place.is_done(OTHER)
    assert ranges(server) == [f"bytes={CUT}-", None]


@pytest.mark.parametrize(
    "said",
    [
        f"bytes 0-{len(CONTENT) - 1}/{len(CONTENT)}",
        f"bytes {CUT + 1}-{len(CONTENT) - 1}/{len(CONTENT)}",
        f"bytes {CUT}-{len(CONTENT)}/{len(CONTENT) + 1}",
        "bytes all",
    ],
)
def test_content_range_that_does_not_fit_is_not_believed(server: Server, place: Place, said: str) -> None:
    url = cut_before(server, place, Answer(headers={"Content-Range": said}), Answer())
    place.fetch(url)
    assert place.is_done()
    assert ranges(server) == [f"bytes={CUT}-", None]


def test_content_range_that_says_no_total_is_enough(server: Server, place: Place) -> None:
    url = cut_before(server, place, Answer(headers={"Content-Range": f"bytes {CUT}-{len(CONTENT) - 1}/*"}))
    place.fetch(url)
    assert place.is_done()
    assert ranges(server) == [f"bytes={CUT}-"]


def test_part_that_nobody_asked_for_is_refused(server: Server, place: Place) -> None:
    server.answers[ARCHIVE] = [Answer(206, headers={"Content-Range": "bytes 5-9/10"}, body=b"56789")]
    with pytest.raises(UserError, match=r"asked for bytes from 0 on, the server sends 'bytes 5-9/10'"):
        place.fetch(f"{server.url}/{ARCHIVE}")


def test_server_without_ranges_starts_again(server: Server, place: Place) -> None:
    url = cut_before(server, place, Answer(ranges=False))
    place.fetch(url)
    assert place.is_done()
    assert ranges(server) == [f"bytes={CUT}-"]
    assert server.sent == len(CONTENT)


def test_server_without_versions_is_asked_for_the_rest_if_a_checksum_decides(server: Server, place: Place) -> None:
    server.answers[ARCHIVE] = [Answer(cut_after=CUT, etag=None), Answer(etag=None)]
    place.fetch(f"{server.url}/{ARCHIVE}")
    assert place.is_done()
    assert "if-range" not in server.requests[1].headers
    assert server.sent == len(CONTENT)


def test_server_without_versions_is_asked_for_all_if_nothing_else_decides(server: Server, place: Place) -> None:
    server.answers[ARCHIVE] = [Answer(cut_after=CUT, etag=None), Answer(etag=None)]
    place.fetch(f"{server.url}/{ARCHIVE}", size_bytes=len(CONTENT))
    assert place.is_done()
    assert ranges(server) == [None, None]


def test_date_of_change_stands_in_for_a_weak_etag(server: Server, place: Place) -> None:
    date = "Mon, 23 Dec 2019 10:00:00 GMT"
    weak = {"etag": 'W/"1"', "headers": {"Last-Modified": date}, "if_range": False}
    server.answers[ARCHIVE] = [Answer(cut_after=CUT, **weak), Answer(**weak)]  # type: ignore[arg-type]
    place.fetch(f"{server.url}/{ARCHIVE}")
    assert place.is_done()
    assert server.requests[1].headers["if-range"] == date


def test_nothing_is_asked_for_where_nothing_is_missing(server: Server, place: Place) -> None:
    """All bytes were here, and the process was killed before it could check them."""
    url = cut_before(server, place)
    (partial,) = place.partial_dir.glob("*.part")
    partial.write_bytes(CONTENT)
    place.fetch(url)
    assert place.is_done()
    assert server.requests == []


def test_whole_partial_file_that_is_wrong_is_downloaded_again(server: Server, place: Place) -> None:
    url = cut_before(server, place)
    (partial,) = place.partial_dir.glob("*.part")
    partial.write_bytes(corrupted(CONTENT))
    place.fetch(url)
    assert place.is_done()
    assert ranges(server) == [None]


def test_no_more_bytes_means_that_all_are_here(server: Server, place: Place) -> None:
    """A chunked answer says no total, so only the server's 416 does."""
    server.answers[ARCHIVE] = [Answer(chunked=True, cut_after=len(CONTENT)), Answer()]
    place.fetch(f"{server.url}/{ARCHIVE}")
    assert place.is_done()
    assert ranges(server) == [None, f"bytes={len(CONTENT)}-"]
    assert server.sent == len(CONTENT)


@pytest.mark.parametrize("headers", [{}, {"Content-Range": "bytes */5"}])
def test_no_such_bytes_means_another_file(server: Server, place: Place, headers: dict[str, str]) -> None:
    url = cut_before(server, place, Answer(416, headers=headers), Answer())
    place.fetch(url)
    assert place.is_done()
    assert ranges(server) == [f"bytes={CUT}-", None]


@pytest.mark.parametrize("notes", ["{", "[]", '{"url": 1, "size": 2}', None])
def test_lost_notes_cost_nothing_if_a_checksum_decides(server: Server, place: Place, notes: str | None) -> None:
    url = cut_before(server, place)
    (path,) = place.partial_dir.glob("*.json")
    path.write_text(notes) if notes else path.unlink()
    place.fetch(url)
    assert place.is_done()
    assert ranges(server) == [f"bytes={CUT}-"]


def test_partial_file_that_is_wrong_is_thrown_away_once(server: Server, place: Place) -> None:
    url = cut_before(server, place)
    (partial,) = place.partial_dir.glob("*.part")
    partial.write_bytes(corrupted(CONTENT[:CUT]))
    place.fetch(url)
    assert place.is_done()
    assert ranges(server) == [f"bytes={CUT}-", None]


def test_file_that_stays_wrong_is_named_and_not_kept(server: Server, place: Place) -> None:
    url = cut_before(server, place, Answer(body=corrupted(OTHER)))
    with pytest.raises(
        UserError, match=rf"/{ARCHIVE}: .*sha256 is [0-9a-f]{{64}}, expected {SHA256}; it is .*; {REMEDY}"
    ) as caught:
        place.fetch(url)
    assert not isinstance(caught.value, TransientError)
    assert ranges(server) == [f"bytes={CUT}-", None]
    assert not list(place.partial_dir.iterdir())
    assert not place.path.exists()


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


def test_mirrors_are_tried_in_order_until_one_has_it(server: Server, place: Place, tmp_path: Path) -> None:
    server.answers |= {
        "gone": [Answer(404)],
        "bad": [Answer(body=OTHER)],
        "page": [Answer(body=PAGE)],
        "busy": [Answer(503)],
    }
    mirrors = [f"{server.url}/{name}" for name in ("gone", "bad", "page", "busy", "good", "never")]
    assert place.fetch("http://127.0.0.1:9/refused", str(tmp_path / "nowhere.zip"), *mirrors, attempts=2) == SHA256
    assert place.is_done()
    assert [request.path for request in server.requests] == ["gone", "bad", "page", "busy", "busy", "good"]


def test_second_mirror_goes_on_where_the_first_one_broke(server: Server, place: Place) -> None:
    server.answers |= {"first": [Answer(cut_after=CUT), Answer(503)], "second": [Answer(etag='"else"')]}
    assert place.fetch(f"{server.url}/first", f"{server.url}/second") == SHA256
    assert place.is_done()
    assert "if-range" not in server.requests[-1].headers
    assert server.sent == len(CONTENT)


def test_second_mirror_starts_over_if_the_first_one_sent_rubbish(server: Server, place: Place) -> None:
    server.answers |= {"first": [Answer(body=OTHER, cut_after=CUT), Answer(503)]}
    assert place.fetch(f"{server.url}/first", f"{server.url}/second") == SHA256
    assert place.is_done()
    assert ranges(server)[-2:] == [f"bytes={CUT}-", None]


def test_second_mirror_starts_over_if_no_checksum_decides(server: Server, place: Place) -> None:
    server.answers |= {"first": [Answer(body=OTHER, cut_after=CUT), Answer(503)]}
    assert place.fetch(f"{server.url}/first", f"{server.url}/second", size_bytes=len(CONTENT)) == SHA256
    assert ranges(server)[-1] is None


def test_mirrors_that_all_fail_are_listed_with_their_reasons(server: Server, place: Place, tmp_path: Path) -> None:
    server.answers |= {"gone": [Answer(404)], "bad": [Answer(body=OTHER)]}
    urls = [f"{server.url}/gone", f"{server.url}/bad", str(tmp_path / "nowhere.zip")]
    with pytest.raises(UserError) as caught:
        place.fetch(*urls)
    assert not isinstance(caught.value, TransientError)
    assert str(caught.value) == (
        f"{ARCHIVE}: no address gives it\n"
        f"  - {urls[0]}: cannot be downloaded (the server answers 404 Not Found)\n"
        f"  - {urls[1]}: sha256 is {hashlib.sha256(OTHER).hexdigest()}, expected {SHA256};"
        " it is truncated or another version\n"
        f"  - {urls[2]}: no such file\n{REMEDY}"
    )
    with pytest.raises(TransientError, match=rf"(?s)404.*127\.0\.0\.1:9/.*refused.*\ntry again, or {REMEDY}"):
        place.fetch(urls[0], "http://127.0.0.1:9/archive.zip")


def test_path_is_a_mirror(place: Place, tmp_path: Path) -> None:
    (tmp_path / "mine.zip").write_bytes(CONTENT)
    assert place.fetch(str(tmp_path / "mine.zip"), size_bytes=len(CONTENT), sha256=SHA256.upper()) == SHA256
    assert place.is_done()
    assert (tmp_path / "mine.zip").read_bytes() == CONTENT


def test_redirect_is_followed_with_the_range(server: Server, place: Place) -> None:
    to = {"Location": f"{server.url}/elsewhere"}
    server.answers |= {ARCHIVE: [Answer(302, headers=to)], "elsewhere": [Answer(cut_after=CUT), Answer()]}
    place.fetch(f"{server.url}/{ARCHIVE}")
    assert place.is_done()
    assert ranges(server) == [None, None, f"bytes={CUT}-", f"bytes={CUT}-"]


def test_disk_without_room_is_noticed_before_a_byte_is_written(server: Server, place: Place) -> None:
    server.answers[ARCHIVE] = [Answer(length=str(10**18))]
    with pytest.raises(
        UserError, match=rf"{place.partial_dir}: {10**18:,} more bytes are needed, [0-9,]+ are free; make room"
    ):
        place.fetch(f"{server.url}/{ARCHIVE}")
    assert not list(place.partial_dir.iterdir())


PROGRAM = """
import sys
from pathlib import Path
from pennet.data.download import Remote, fetch_remote
from pennet.errors import UserError
SETUP
url, path, partial_dir, sha256 = sys.argv[1:]
try:
    fetch_remote(Remote((url,), sha256), Path(path), Path(partial_dir), "get it elsewhere", attempts=1)
except UserError as error:
    print(error)
"""


def start(url: str, place: Place, setup: str = "") -> subprocess.Popen[str]:
    command = [sys.executable, "-c", PROGRAM.replace("SETUP", setup), url, str(place.path), str(place.partial_dir), SHA256]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_for_bytes(place: Place, count: int, seconds: float = 120.0) -> None:
    deadline = time.monotonic() + seconds
    while sum(path.stat().st_size for path in place.partial_dir.glob("*.part")) < count:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_disk_that_fills_up_is_named_and_nothing_is_lost(server: Server, place: Place) -> None:
    """A limit on the size of files is the kernel's own refusal in the middle of a write, without a disk to fill."""
    url = f"{server.url}/{ARCHIVE}"
    output, errors = start(
        url, place, f"import resource; resource.setrlimit(resource.RLIMIT_FSIZE, ({CUT}, {CUT}))"
    ).communicate(timeout=120)
    assert "the disk is full (File too large); make room and start again, the " in output, errors
    assert str(place.partial_dir) in output
    assert place.kept() == [CONTENT[:CUT]]
    place.fetch(url)
    assert place.is_done()
    assert ranges(server) == [None, f"bytes={CUT}-"]


def test_killed_process_costs_no_byte_twice(server: Server, place: Place) -> None:
    """While it lives no other may write the file; what it leaves behind, its lock included, is taken over."""
    server.answers[ARCHIVE] = [Answer(cut_after=CUT, stall=True), Answer()]
    url = f"{server.url}/{ARCHIVE}"
    process = start(url, place)
    try:
        wait_for_bytes(place, CUT)
        with pytest.raises(TransientError, match=rf"{ARCHIVE}: process {process.pid} is downloading it .*wait until"):
            place.fetch(url)
        assert len(server.requests) == 1
    finally:
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL
    assert len(list(place.partial_dir.glob("*.lock"))) == 1
    assert place.fetch(url) == SHA256
    assert place.is_done()
    assert ranges(server) == [None, f"bytes={CUT}-"]
    assert server.sent == len(CONTENT)


def test_process_killed_before_it_cleared_up_leaves_the_file_whole(server: Server, place: Place) -> None:
    url = f"{server.url}/{ARCHIVE}"
    die = "import os; from pennet.data.partial import Partial; Partial._remove = lambda self: os.kill(os.getpid(), 9)"
    process = start(url, place, die)
    process.communicate(timeout=120)
    assert process.returncode == -signal.SIGKILL
    assert place.path.read_bytes() == CONTENT
    assert place.kept() == [CONTENT]
    server.answers[ARCHIVE] = [Answer(), Answer(body=OTHER)]
    with pytest.raises(UserError, match="sha256 is"):
        place.fetch(url)
    assert place.path.read_bytes() == CONTENT


def test_of_many_at_once_each_succeeds_or_is_told_to_wait(server: Server, place: Place) -> None:
    outcomes: list[str] = []
    together = threading.Barrier(6)

    def one() -> None:
        together.wait(timeout=60)
        try:
            outcomes.append(place.fetch(f"{server.url}/{ARCHIVE}"))
        except TransientError as error:
            outcomes.append("busy" if "is downloading it" in str(error) else str(error))

    threads = [threading.Thread(target=one) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=120)
    assert len(outcomes) == 6
    assert set(outcomes) <= {SHA256, "busy"}
    assert SHA256 in outcomes
    assert place.is_done()


def test_lock_that_its_holder_removes_is_made_again(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """The holder ends between our opening its lock file and our locking it: what we hold then keeps nobody out."""
    flock = fcntl.flock
    removed: list[Path] = []

    def late(file: TextIO, how: int) -> None:
        if not removed:
            removed.extend(place.partial_dir.glob("*.lock"))
            removed[0].unlink()
        flock(file, how)

    monkeypatch.setattr(fcntl, "flock", late)
    with kept(place.partial_dir, ARCHIVE, SHA256):
        assert list(place.partial_dir.glob("*.lock")) == removed
        with pytest.raises(TransientError, match="is downloading it"), kept(place.partial_dir, ARCHIVE, SHA256):
            pass


def test_files_of_one_name_do_not_meet(server: Server, place: Place, tmp_path: Path) -> None:
    url = cut_before(server, place)
    server.answers["other"] = [Answer(body=OTHER)]
    other = Remote((f"{server.url}/other",), hashlib.sha256(OTHER).hexdigest())
    fetch_remote(other, tmp_path / "else" / ARCHIVE, place.partial_dir, REMEDY)
    assert (tmp_path / "else" / ARCHIVE).read_bytes() == OTHER
    assert place.kept() == [CONTENT[:CUT]]
    place.fetch(url)
    assert place.is_done()


def test_partial_file_may_lie_on_another_disk(server: Server, place: Place, tmp_path: Path) -> None:
    shared = Path("/dev/shm")
    if not os.access(shared, os.W_OK) or shared.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("one disk")
    place.partial_dir = shared / f"pennet-test-{os.getpid()}"
    try:
        place.fetch(f"{server.url}/{ARCHIVE}")
        assert place.is_done()
    finally:
        with contextlib.suppress(FileNotFoundError):
            place.partial_dir.rmdir()


def test_file_that_cannot_be_placed_is_not_lost(server: Server, place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    replace = Path.replace

    def refuse(self: Path, target: Path) -> Path:
        if target == place.path:
            raise PermissionError(errno.EACCES, "Permission denied", str(self))
        return replace(self, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", refuse)
        with pytest.raises(PermissionError, match=str(place.path)):
            place.fetch(f"{server.url}/{ARCHIVE}")
    assert place.kept() == [CONTENT]
    assert place.fetch(f"{server.url}/{ARCHIVE}") == SHA256
    assert place.is_done()
    assert len(server.requests) == 1


def test_folder_is_no_place_for_a_file(server: Server, place: Place) -> None:
    place.path.mkdir(parents=True)
    with pytest.raises(UserError, match=rf"{ARCHIVE}: is a folder"):
        place.fetch(f"{server.url}/{ARCHIVE}")
    assert server.requests == []


def test_old_file_stays_until_the_new_one_is_whole(server: Server, place: Place) -> None:
    place.path.parent.mkdir()
    place.path.write_bytes(b"old")
    url = cut_before(server, place)
    assert place.path.read_bytes() == b"old"
    place.fetch(url)
    assert place.is_done()


def test_progress_starts_where_the_file_does(server: Server, place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    url = cut_before(server, place)
    bars: list[download.tqdm[object]] = []

    class Bar(download.tqdm):  # type: ignore[type-arg]
        def __init__(self, **options: object) -> None:
            super().__init__(**options)  # type: ignore[call-overload]
            bars.append(self)

    monkeypatch.setattr(download, "tqdm", Bar)
    place.fetch(url)
    assert [(bar.initial, bar.n, bar.total) for bar in bars] == [(CUT, len(CONTENT), len(CONTENT))]


@pytest.mark.parametrize(
    ("urls", "known", "message"),
    [
        ((), {"sha256": SHA256}, "no urls"),
        (("a.zip",), {}, "a.zip: nothing says what it must be"),
        (("a.zip",), {"kind": "rar"}, "kind 'rar': must be one of zip, tar, any"),
    ],
)
def test_file_that_cannot_be_known_is_refused(urls: tuple[str, ...], known: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Remote(urls, **known)  # type: ignore[arg-type]
