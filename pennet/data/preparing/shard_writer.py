"""Writes pictures into tar shards that any tar tool and WebDataset read, byte for byte the same every time."""

from __future__ import annotations

import hashlib
import os
import tarfile
from pathlib import Path
from typing import BinaryIO, NamedTuple, Self
from urllib.parse import quote, unquote

from pennet.data.pictures.shards import shard_name

HASHED = "="
"""Begins a member's name that is no key; an escaped key never holds it."""


class Position(NamedTuple):
    """Where a content lies."""

    shard: int
    offset: int
    """Of its first byte in the shard, in bytes."""


def member_name(key: str, ending: str) -> str:
    """What a picture is called in a shard: its key, percent-encoded, and the ending of the stored format.

    WebDataset takes a name up to the first dot of its last part for the key, and passes over what begins with a dot or looks
    like `__this__`: so dots are encoded, too, and folders stay. What is too long for a ustar header (100 bytes and 155 of
    folders before them) is called by the hash of its key, which the index tells.

    Args:
        key: any text.
        ending: `jpg` or `png`.
    """
    name = quote(key, safe="" if "" in key.split("/") else "/").replace(".", "%2E")
    if name.startswith("__"):
        name = f"%5F{name[1:]}"
    try:
        _header(f"{name}.{ending}", 0)
    except ValueError:
        name = HASHED + hashlib.sha256(key.encode()).hexdigest()
    return f"{name}.{ending}"


def key_of(member: str) -> str | None:
    """Undoes `member_name`; None for a name that is a hash."""
    return None if member.startswith(HASHED) else unquote(member.rpartition(".")[0])


class ShardWriter:
    """Writes `shard-00000.tar`, `shard-00001.tar` and so on: plain ustar, without times, owners or what else changes.

    Args:
        folder: where they go; must be there.
        shard_bytes: a shard ends before it would be larger; one picture alone may be.
    """

    def __init__(self, folder: Path, shard_bytes: int) -> None:
        self._folder = folder
        self._shard_bytes = shard_bytes
        self._shard = -1
        self._file: BinaryIO | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.end_shard()

    def add(self, key: str, ending: str, content: bytes) -> Position:
        """Appends a picture to the shard, or begins the next one with it."""
        padding = bytes(-len(content) % tarfile.BLOCKSIZE)
        header = _header(member_name(key, ending), len(content))
        size = len(header) + len(content) + len(padding)
        if self._file and _closed(self._file.tell() + size) > self._shard_bytes:
            self.end_shard()
        if self._file is None:
            self._shard += 1
            self._file = (self._folder / shard_name(self._shard)).open("xb")
        offset = self._file.tell() + len(header)
        self._file.write(header + content + padding)
        return Position(self._shard, offset)

    def end_shard(self) -> None:
        """Closes the shard, flushed to the disk; the next picture begins another one."""
        if self._file is None:
            return
        with self._file as file:
            file.write(bytes(_closed(file.tell()) - file.tell()))
            file.flush()
            os.fsync(file.fileno())
        self._file = None


def _closed(size: int) -> int:
    """How long a shard is with tar's end mark of two blocks, and filled up to whole records as tar tools do."""
    return -(-(size + 2 * tarfile.BLOCKSIZE) // tarfile.RECORDSIZE) * tarfile.RECORDSIZE


def _header(name: str, size: int) -> bytes:
    """Raises ValueError where the name is too long."""
    member = tarfile.TarInfo(name)
    member.size, member.mode = size, 0o644
    return member.tobuf(tarfile.USTAR_FORMAT, "ascii", "strict")
