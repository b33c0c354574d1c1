"""Downloads and this machine: its disk, processes that are killed, others at the same time."""

import contextlib
import errno
import fcntl
import hashlib
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TextIO

import pytest

from pennet.data.sources import download
from pennet.data.sources.download import Remote, fetch_remote
from pennet.data.sources.partial import kept
from pennet.errors import TransientError, UserError
from tests.data.downloading import ARCHIVE, CONTENT, CUT, OTHER, REMEDY, SHA256, Place, cut_before, ranges
from tests.data.server import Answer, Server

TOO_LONG = 10**18
NO_ROOM = f"{TOO_LONG:,} more bytes are needed, [0-9,]+ are free; make room"


def test_disk_without_room_is_noticed_before_a_byte_is_written(server: Server, place: Place) -> None:
    server.answers[ARCHIVE] = [Answer(length=str(TOO_LONG))]
    with pytest.raises(UserError, match=f"says that it has {TOO_LONG:,} bytes; {place.partial_dir}: {NO_ROOM}"):
        place.fetch(f"{server.url}/{ARCHIVE}")
    assert not list(place.partial_dir.iterdir())


def test_disk_without_room_for_what_the_file_is_known_to_be_asks_nobody_else(server: Server, place: Place) -> None:
    server.answers[ARCHIVE] = [Answer(length=str(TOO_LONG))]
    with pytest.raises(UserError, match=f"^{place.partial_dir}: {NO_ROOM}"):
        place.fetch(f"{server.url}/{ARCHIVE}", f"{server.url}/mirror/{ARCHIVE}", size_bytes=TOO_LONG)
    assert len(server.requests) == 1
    assert not list(place.partial_dir.iterdir())


def test_length_that_is_a_lie_leaves_the_next_address(server: Server, place: Place) -> None:
    server.answers[ARCHIVE] = [Answer(length=str(TOO_LONG))]
    place.fetch(f"{server.url}/{ARCHIVE}", f"{server.url}/mirror/{ARCHIVE}")
    assert place.is_done()


PROGRAM = """
import sys
from pathlib import Path
from pennet.data.sources.download import Remote, fetch_remote
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


def wait_for_bytes(place: Place, count: int, seconds: float = 240.0) -> None:
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
    die = (
        "import os; from pennet.data.sources.partial import Partial; Partial._remove = lambda self: os.kill(os.getpid(), 9)"
    )
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
