"""A preparation that is killed goes on, and makes what it would have made."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from pennet.data.preparing import parts
from pennet.data.preparing import prepare as preparing
from pennet.data.preparing.prepare import prepare
from pennet.data.preparing.storing import Stored, store
from pennet.data.sets.folder import FOLDER
from pennet.errors import UserError
from pennet.in_order import processes
from tests.data.pictures import SETTINGS, checksums, encoded, photo, prepared, source_of, split_of
from tests.data.preparing_process import FILES, PART_PICTURES
from tests.project import ROOT


def wait_for(condition, seconds: float = 240) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.01)


def test_a_killed_process_is_gone_on_from_and_leaves_no_worker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    psutil = pytest.importorskip("psutil")
    command = [sys.executable, "-m", "tests.data.preparing_process", str(tmp_path)]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL) as process:
        wait_for((tmp_path / "partial/part-00001.parquet").exists)
        workers = psutil.Process(process.pid).children()
        assert len(workers) == 2
        busy = rf"out: process {process.pid} is preparing it \({tmp_path}/partial.lock\); wait until it has ended, or end it"
        with pytest.raises(UserError, match=busy):
            prepared(FILES, tmp_path)
        os.kill(process.pid, signal.SIGKILL)
    wait_for(lambda: not any(worker.is_running() and worker.status() != psutil.STATUS_ZOMBIE for worker in workers))
    assert not (tmp_path / "out").exists()
    finished = len(list((tmp_path / "partial").glob("part-*.parquet"))) * PART_PICTURES
    assert 0 < finished < len(FILES)

    looked_at = counting(monkeypatch)
    assert checksums(prepared(FILES, tmp_path)) == checksums(prepared(FILES, tmp_path / "at once"))
    assert len(looked_at) == len(FILES) - finished + len(FILES)
    assert not (tmp_path / "partial.lock").exists()


def counting(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The keys of pictures that are decoded from now on."""
    keys: list[str] = []

    def counted(content: bytes, key: str, *rest) -> Stored:
        keys.append(key)
        return store(content, key, *rest)

    monkeypatch.setattr(preparing, "store", counted)
    return keys


@pytest.fixture
def stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, bytes]:
    """A source of which four parts of five pictures are there, and no prepared set for a bad picture's sake."""
    monkeypatch.setattr(parts, "PART_PICTURES", 5)
    files = {f"train/{n}": encoded(photo(n)) for n in range(19)} | {"train/bad": b""}
    with pytest.raises(UserError, match="1 of 20 pictures cannot be used"):
        prepared(files, tmp_path)
    return files


def test_another_ratio_needs_nothing_anew(
    tmp_path: Path, stopped: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = counting(monkeypatch)
    prepared(stopped, tmp_path, max_rejected_ratio=0.5)
    assert not keys


def test_a_source_that_has_changed_is_prepared_anew(
    tmp_path: Path, stopped: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = counting(monkeypatch)
    repaired = stopped | {"train/bad": encoded(photo(99))}
    folder = prepared(repaired, tmp_path)
    assert keys == list(repaired)
    assert checksums(folder) == checksums(prepared(repaired, tmp_path / "at once"))


def test_groups_that_have_changed_are_the_new_ones(tmp_path: Path, stopped: dict[str, bytes]) -> None:
    """A picture that was added or removed elsewhere can make groups of all folders, or of none."""
    source = source_of(stopped)
    grouped = replace(source, places={name: replace(place, group="all") for name, place in source.places.items()})
    settings = SETTINGS | {"max_rejected_ratio": 0.5}
    for partial in ("partial", "another"):
        prepare(FOLDER, grouped, split_of(stopped), tmp_path / partial / "out", **settings, partial_dir=tmp_path / partial)
    assert checksums(tmp_path / "partial/out") == checksums(tmp_path / "another/out")


@pytest.mark.parametrize("change", [{"size_px": 16}, {"resize_filter": "box"}])
def test_parts_of_other_settings_are_not_used(
    tmp_path: Path, stopped: dict[str, bytes], change: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = counting(monkeypatch)
    prepared(stopped, tmp_path, max_rejected_ratio=0.5, **change)
    assert keys == list(stopped)


def test_other_files_of_the_partial_folder_stay(tmp_path: Path) -> None:
    (tmp_path / "partial").mkdir()
    (tmp_path / "partial/notes.txt").touch()
    prepared({"train/a": encoded(photo(0))}, tmp_path)
    assert [path.name for path in (tmp_path / "partial").iterdir()] == ["notes.txt"]


def test_a_worker_that_was_killed_is_the_users_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preparing, "store", lambda *_: os.kill(os.getpid(), signal.SIGKILL))
    killed = pytest.raises(UserError, match="one of 1 workers was killed; give fewer workers if the memory was full")
    with killed, processes(1) as workers:
        prepared({"train/a": encoded(photo(0))}, tmp_path, workers=workers)
