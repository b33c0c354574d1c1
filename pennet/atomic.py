"""Files that are either whole or not there: write beside, flush to the disk, rename."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import platform
import re
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any

_NO_FSYNC = (errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS)
"""How file systems say that they have no fsync (some network and FUSE mounts); any other error is about the data."""


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yields a temporary path in the same folder; on success it takes `path`'s place, on failure it is removed.

    What killed processes of this machine have left in the folder is removed before a process first writes there.

    Raises:
        OSError: the disk is full or not writable; names `path`. Whatever was there is untouched.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    _remove_stale(path.parent.absolute())
    label = hashlib.sha256(path.name.encode("utf-8", "surrogateescape")).hexdigest()[:16]  # the whole name may be too long
    temporary = path.with_name(f".{label}.{platform.node()}.{os.getpid()}.tmp{path.suffix}")
    try:
        with _naming(path, temporary):
            yield temporary
            _sync(temporary, os.O_RDWR)  # Windows flushes only what is open for writing
            temporary.replace(path)
        with suppress(OSError):  # Windows opens no folder
            _sync(path.parent, os.O_RDONLY)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def replacing_folder(path: Path) -> Iterator[Path]:
    """Yields an empty folder beside `path`; on success it takes `path`'s place, on failure it is removed.

    Only one process at a time may write `path`: for the folders of a stage, DVC sees to that.

    Raises:
        OSError: the disk is full or not writable; names `path`. Whatever was there is untouched.
    """
    fresh, old = path.with_name(f".{path.name}.new"), path.with_name(f".{path.name}.old")
    for left in (fresh, old):
        shutil.rmtree(left, ignore_errors=True)
    try:
        with _naming(path, fresh):
            fresh.mkdir(parents=True)
            yield fresh
            with suppress(FileNotFoundError):
                path.rename(old)
            try:
                fresh.rename(path)
            except OSError:
                with suppress(FileNotFoundError):
                    old.rename(path)
                raise
    finally:
        for left in (fresh, old):
            shutil.rmtree(left, ignore_errors=True)


def write_text(path: Path, text: str) -> None:
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")


def write_json(path: Path, value: Any) -> None:
    """Writes JSON with sorted keys, so that the same content has the same bytes."""
    write_text(path, json.dumps(value, indent=2, sort_keys=True, allow_nan=False) + "\n")


@contextmanager
def _naming(path: Path, temporary: Path) -> Iterator[None]:
    """Names `path` in errors that name no file, as those of a full disk do, or the temporary one."""
    try:
        yield
    except OSError as error:
        if error.filename not in (None, str(temporary)):
            raise
        if error.errno is None:
            raise OSError(f"{path}: {error}") from error
        raise OSError(error.errno, error.strerror, str(path)) from error


@cache
def _remove_stale(folder: Path) -> None:
    """Removes the temporaries of processes that are no more; once for each folder, because a long one takes time to list.

    The machine is part of the name: what another one writes to a shared folder is left alone, its processes cannot be seen.
    On Windows nothing is removed: Python has no way to ask there whether a process runs (`os.kill` would end it).
    """
    if sys.platform == "win32":
        return
    temporary = re.compile(rf"\..+\.{re.escape(platform.node())}\.([0-9]+)\.tmp.*")
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


def _sync(path: Path, flags: int) -> None:
    """Waits until the disk has it, where the file system knows how."""
    descriptor = os.open(path, flags)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _NO_FSYNC:
            raise
    finally:
        os.close(descriptor)
