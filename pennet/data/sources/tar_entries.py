"""Walks a tar from member to member, and trusts none of its headers."""

from __future__ import annotations

import tarfile
from collections.abc import Callable
from functools import partial
from typing import BinaryIO

from pennet.data.sources.archive_entries import LINK, NO_FILE, Entries, Entry

BLOCK_BYTES = 512
"""Tar's unit."""
_MAX_NOTE_BYTES = 1 << 20  # a long name, or other notes before a member
_PADDING_CHUNK_BYTES, _MAX_PADDING_CHUNKS = 1 << 16, 1 << 10


def tar_entries(file: BinaryIO) -> Entries:
    """Walks from header to header.

    `tarfile` parses the single header only: its own walk takes a broken header for the end, follows sizes below zero, spends
    minutes on long notes, and keeps all members.
    """
    notes: dict[str, bytes] = {}  # on the member that comes next
    while (block := _exactly(file, BLOCK_BYTES)).strip(b"\0"):
        header = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
        if header.type in _NOTES:
            notes |= _NOTES[header.type](_note(file, header.size))
            continue
        more = header.type == tarfile.GNUTYPE_SPARSE and block[482]
        while more:  # the rest of the map of a sparse file
            more = _exactly(file, BLOCK_BYTES)[504]
        size = int(notes.get("size", header.size))
        if size < 0:
            raise ValueError(f"a size of {size}")
        has_content = header.isreg() or header.type not in tarfile.SUPPORTED_TYPES
        start, stored = file.tell(), size if has_content else 0
        path_note = notes.get("GNU.sparse.name", notes.get("path"))
        name = header.name if path_note is None else path_note.decode("utf-8", "surrogateescape")
        refusal, skip = _tar_refusal(header, notes), partial(_skip, file, start + stored)
        yield Entry(name, size, partial(file.read, size), header.isdir(), refusal, skip)
        notes = {}
        file.seek(start + _whole_blocks(stored))
    _expect_padding(file)


def _exactly(file: BinaryIO, size: int) -> bytes:
    content = file.read(size)
    if len(content) < size:
        raise EOFError("tar's end mark is missing")
    return content


def _skip(file: BinaryIO, end: int) -> None:
    if file.tell() < end:
        file.seek(end - 1)  # which a file that is not compressed does beyond its own end
        if not file.read(1):
            raise EOFError("the rest of it is missing")


def _whole_blocks(size: int) -> int:
    return -(-size // BLOCK_BYTES) * BLOCK_BYTES


def _note(file: BinaryIO, size: int) -> bytes:
    if not 0 <= size <= _MAX_NOTE_BYTES:
        raise ValueError(f"a header of {size:,} bytes")
    return _exactly(file, _whole_blocks(size))[:size]


def _pax(note: bytes) -> dict[str, bytes]:
    """Records of `LENGTH KEY=VALUE\\n`, where the length counts all of its record."""
    found, start = {}, 0
    while start < len(note):
        length = note[start : start + 8].partition(b" ")[0]
        space, end = start + len(length), start + (int(length) if length.isdigit() else 0)
        if not space < end <= len(note):
            raise ValueError("a broken header")
        key, _, value = note[space + 1 : end - 1].partition(b"=")
        found[key.decode("utf-8", "replace")] = value
        start = end
    return found


_NOTES: dict[bytes, Callable[[bytes], dict[str, bytes]]] = {
    tarfile.GNUTYPE_LONGNAME: lambda note: {"path": note.partition(b"\0")[0]},
    tarfile.GNUTYPE_LONGLINK: lambda note: {},
    tarfile.XHDTYPE: _pax,
    tarfile.SOLARIS_XHDTYPE: _pax,
    tarfile.XGLTYPE: lambda note: {},  # on all members, such as a commit
}


def _tar_refusal(header: tarfile.TarInfo, notes: dict[str, bytes]) -> str:
    if header.type == tarfile.GNUTYPE_SPARSE or any(key.startswith("GNU.sparse.") for key in notes):
        return "is stored without its zeros; pack it again without --sparse"
    if header.isreg():
        return ""
    if header.issym() or header.islnk():
        return LINK
    return NO_FILE if header.isdev() else f"is of a type that is not known ({header.type!r}); pack the set without it"


def _expect_padding(file: BinaryIO) -> None:
    """Reads to the end, where compression keeps its checksum."""
    for _ in range(_MAX_PADDING_CHUNKS):
        chunk = file.read(_PADDING_CHUNK_BYTES)
        if not chunk:
            return
        if chunk.count(0) != len(chunk):
            raise ValueError("more follows tar's end mark, as where archives are joined: unpack those with --ignore-zeros")
    raise ValueError("nothing but zeros follow tar's end mark")
