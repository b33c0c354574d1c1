"""The file of a download: what it must be, what is here of it and from where, and that only one process writes it."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal, Self, get_args

from tqdm import tqdm

from pennet.alone import alone
from pennet.atomic import replacing, write_json
from pennet.data.sources.formats import compression, is_tar, is_zip
from pennet.errors import TransientError, UserError

CHUNK_BYTES = 1 << 20
Kind = Literal["zip", "tar", "archive", "any"]
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@dataclass(frozen=True)
class Remote:
    """A file somewhere else, and how to know it.

    Attributes:
        urls: http(s) addresses of the same file, tried in this order; paths are allowed.
        sha256: hexadecimal checksum; None where nobody published it.
        md5: likewise.
        size_bytes: how long it is; None if that is not known.
        kind: what its first bytes must be those of, which tells an archive from a web page; a tar may be compressed, and
            `archive` is either.
    """

    urls: tuple[str, ...]
    sha256: str | None = None
    md5: str | None = None
    size_bytes: int | None = None
    kind: Kind = "any"

    def __post_init__(self) -> None:
        if not self.urls:
            raise ValueError("no urls")
        if self.kind not in get_args(Kind):
            raise ValueError(f"kind {self.kind!r}: must be one of {', '.join(get_args(Kind))}")
        if not self.checksums and self.size_bytes is None and self.kind == "any":
            raise ValueError(f"{self.urls[0]}: nothing says what it must be; give sha256, md5, size_bytes or kind")

    @property
    def checksums(self) -> dict[str, str]:
        known = {"sha256": self.sha256, "md5": self.md5}
        return {algorithm: value.lower() for algorithm, value in known.items() if value}

    def total(self, origin: Origin | None) -> int | None:
        """Bytes of the whole file, where they are known; else what was said where it came from."""
        return origin.total if origin and self.size_bytes is None else self.size_bytes


@dataclass(frozen=True)
class Origin:
    """Where bytes came from, and of which version of the file they are."""

    url: str
    validator: str | None = None
    """The server's name for the version, as `If-Range` takes it: a strong ETag, or the date of the last change."""
    total: int | None = None
    """Bytes of the whole file, where the server said so."""

    def changed(self, now: Origin) -> str:
        """What tells that a file has become another one since; empty if nothing does."""
        if None not in (self.total, now.total) and self.total != now.total:
            return f"it has {now.total:,} bytes now, {self.total:,} when the download began"
        if self.url == now.url and None not in (self.validator, now.validator) and self.validator != now.validator:
            return f"its version is {now.validator} now, {self.validator} when the download began"
        return ""


class Partial:
    """A file that grows at its end and knows its checksums. Attributes change with it.

    Attributes:
        size: bytes that are here.
        origin: where they came from last; None if nobody wrote it down.
        resumed: whether the bytes came in more than one piece, so that they may be of different files.
    """

    def __init__(self, path: Path, algorithms: Iterable[str] = (), notes: Path | None = None) -> None:
        """Opens the file, makes it if there is none, and reads what is there.

        Args:
            path: the file.
            algorithms: of the checksums that will be asked for, beside sha256: "md5".
            notes: where its origin is written down for the next process; None for a file that no other one goes on with.
        """
        self.path, self.notes = path, notes
        self.origin = _read_origin(notes) if notes else None
        self.size = 0
        self._algorithms = {"sha256", *algorithms}
        self._hashes = self._new_hashes()
        self._file = path.open("a+b" if notes else "w+b", buffering=0)
        self._file.seek(0)
        here = os.fstat(self._file.fileno()).st_size
        with tqdm(total=here, unit="B", unit_scale=True, desc=f"{path.name}, what is here", delay=1) as progress:
            while chunk := self._file.read(CHUNK_BYTES):
                self._count(chunk)
                progress.update(len(chunk))
        self.resumed = self.size > 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._file.close()

    def restart(self, origin: Origin) -> None:
        """Forgets all bytes; those that follow are `origin`'s from its first on."""
        self._file.truncate(0)
        self.size, self.resumed, self._hashes = 0, False, self._new_hashes()
        self._note(origin)

    def go_on(self, origin: Origin) -> None:
        """The bytes that follow are `origin`'s, from the size of this file on."""
        self.resumed = True
        self._note(origin)

    def append(self, chunk: bytes) -> None:
        """Writes bytes.

        Raises:
            OSError: the disk is full, say; what fitted is there.
        """
        rest = memoryview(chunk)
        while rest:
            rest = rest[self._file.write(rest) :]
        self._count(chunk)

    def wrong(self, remote: Remote) -> str:
        """What is not as it must be, now that all bytes came; empty if nothing is."""
        total = remote.total(self.origin)
        found = [] if total in (None, self.size) else [f"it has {self.size:,} bytes, expected {total:,}"]
        for algorithm, expected in remote.checksums.items():
            if self.checksum(algorithm) != expected:
                found.append(f"{algorithm} is {self.checksum(algorithm)}, expected {expected}")
        return "; ".join(found)

    def checksum(self, algorithm: str) -> str:
        """The hexadecimal checksum of the bytes that are here; `algorithm` is "sha256" or one that was asked for."""
        return self._hashes[algorithm].hexdigest()

    def require_space(self, total: int) -> None:
        """Checks that a file of `total` bytes fits.

        Raises:
            UserError: it does not; names the folder, what is needed and what is free.
        """
        _require_space(self.path.parent, total - self.size)

    def move_to(self, path: Path) -> None:
        """Puts the file in its place, flushed to the disk, and removes what was kept for it.

        Raises:
            OSError: `path` cannot be written; names it. The partial file is still there.
        """
        self._file.close()
        with replacing(path) as temporary:
            try:
                temporary.hardlink_to(self.path)  # a process that is killed while the disk takes the bytes loses none
            except OSError:  # another file system, or one without links
                if path.parent.stat().st_dev != self.path.stat().st_dev:
                    _require_space(path.parent, self.size)
                shutil.move(self.path, temporary)
        self._remove()

    def _remove(self) -> None:
        for path in (self.path, self.notes):
            if path is not None:
                path.unlink(missing_ok=True)

    def _new_hashes(self) -> dict[str, hashlib._Hash]:
        return {name: hashlib.new(name, usedforsecurity=False) for name in self._algorithms}

    def _count(self, chunk: bytes) -> None:
        self.size += len(chunk)
        for value in self._hashes.values():
            value.update(chunk)

    def _note(self, origin: Origin) -> None:
        if self.notes and origin != self.origin:
            write_json(self.notes, asdict(origin))
        self.origin = origin


@contextmanager
def kept(folder: Path, name: str, content: str, algorithms: Iterable[str] = ()) -> Iterator[Partial]:
    """Yields the partial file of a download, for this process alone. It stays if the download ends early.

    Args:
        folder: where partial files lie, by a name that is made of `name` and `content`.
        name: what the file will be called.
        content: what tells it from another file of this name, such as a checksum.
        algorithms: of its checksums, as for `Partial`.

    Raises:
        TransientError: another process is writing it.
        UserError: the disk is full.
    """
    label = f"{name[:50]}-{hashlib.sha256(content.encode()).hexdigest()[:16]}"  # a longer name may be too long
    path, notes = folder / f"{label}.part", folder / f"{label}.json"
    folder.mkdir(parents=True, exist_ok=True)
    lock = folder / f"{label}.lock"
    with alone(lock, lambda holder: _busy(name, holder, lock)):
        if path.exists() and path.stat().st_nlink > 1:  # a process was killed when the whole file stood in its place
            path.unlink()
        with Partial(path, algorithms, notes) as partial:
            try:
                yield partial
            except OSError as error:
                where = error.filename or path
                if error.errno not in _FULL:
                    raise OSError(error.errno, error.strerror, str(where)) from error
                kept = f"the {partial.size:,} bytes that came are kept"
                raise UserError(
                    f"{where}: the disk is full ({error.strerror}); make room and start again, {kept}"
                ) from error
            finally:
                if not partial.size:
                    partial._remove()


def _busy(name: str, holder: str, lock: Path) -> TransientError:
    return TransientError(f"{name}: process {holder} is downloading it ({lock}); wait until it has ended")


def is_kind(head: bytes, kind: Kind) -> bool:
    """Whether a file of this kind may begin like that (`pennet.data.sources.formats`)."""
    may_be_zip, may_be_tar = kind in ("zip", "archive"), kind in ("tar", "archive")
    return kind == "any" or (may_be_zip and is_zip(head)) or (may_be_tar and (is_tar(head) or bool(compression(head))))


def _read_origin(notes: Path) -> Origin | None:
    try:
        return Origin(**json.loads(notes.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):  # none, or none of ours: a checksum must decide
        return None


def _require_space(folder: Path, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise UserError(f"{folder}: {needed:,} more bytes are needed, {free:,} are free; make room or choose another folder")
