"""Files that are either whole or not there: write beside, flush to the disk, rename."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yields a temporary path in the same folder; on success it takes `path`'s place, on failure it is removed.

    What killed processes of this machine have left in the folder is removed before a process first writes there.

    Raises:
        OSError: the disk is full or not writable; whatever was at `path` is untouched.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    _remove_stale(path.parent.absolute())
    temporary = path.with_name(f".{path.name}.{os.uname().nodename}.{os.getpid()}.tmp{path.suffix}")
    try:
        yield temporary
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
        _sync_folder(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def replacing_folder(path: Path) -> Iterator[Path]:
    """Yields an empty folder beside `path`; on success it takes `path`'s place, on failure it is removed.

    Only one process at a time may write `path`: for the folders of a stage, DVC sees to that.

    Raises:
        OSError: the disk is full or not writable.
    """
    fresh = path.with_name(f".{path.name}.new")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    try:
        yield fresh
        shutil.rmtree(path, ignore_errors=True)
        fresh.rename(path)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def write_text(path: Path, text: str) -> None:
    with replacing(path) as temporary:
        temporary.write_text(text)


def write_json(path: Path, value: Any) -> None:
    """Writes JSON with sorted keys, so that the same content has the same bytes."""
    write_text(path, json.dumps(value, indent=2, sort_keys=True, allow_nan=False) + "\n")


@cache
def _remove_stale(folder: Path) -> None:
    """Removes the temporaries of processes that are no more; once for each folder, because a long one takes time to list.

    The machine is part of the name: what another one writes to a shared folder is left alone, its processes cannot be seen.
    """
    temporary = re.compile(rf"\..+\.{re.escape(os.uname().nodename)}\.([0-9]+)\.tmp.*")
    for path in folder.iterdir():
        match = temporary.fullmatch(path.name)
        if match and not _is_running(int(match[1])):
            with suppress(OSError):  # another user's
                path.unlink()


def _is_running(process_id: int) -> bool:
    try:
        os.kill(process_id, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:  # another user's
        return True
    return True


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
