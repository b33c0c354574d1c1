"""Directories of tags, as TIFF files and EXIF hold them: read as bytes, so that what is not understood is not changed.

Source: TIFF, revision 6.0 (Adobe, 1992), section 2; BigTIFF for files with 8-byte offsets.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import NamedTuple

_BYTES_OF_TYPE = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
_LETTER_OF_TYPE = {1: "B", 3: "H", 4: "I", 6: "b", 7: "B", 8: "h", 9: "i", 13: "I", 16: "Q", 18: "Q"}
_BIG_TYPES = (16, 17, 18)
SHORT, LONG = 3, 4
EXIF, GPS, INTEROPERABILITY = 34665, 34853, 40965
SUBDIRECTORIES = (EXIF, GPS, INTEROPERABILITY)
"""Tags whose value is the offset of another directory."""
MOST_ENTRIES = 4096
"""More are no directory, but something else that is read as one."""


class Entry(NamedTuple):
    """One tag."""

    tag: int
    type: int
    length: int
    raw: bytes
    """The values, in the byte order of the file."""
    at: int
    """Where the values begin in the file."""

    def numbers(self, order: str) -> tuple[int, ...]:
        """The values, of whole numbers; nothing of other types."""
        letter = _LETTER_OF_TYPE.get(self.type)
        return struct.unpack(f"{order}{self.length}{letter}", self.raw) if letter else ()


class Directory(NamedTuple):
    """Tags of one picture, or of what EXIF and GPS know of it."""

    order: str
    """`<` or `>`."""
    entries: dict[int, Entry]
    next: int
    """Offset of the next directory, 0 if there is none."""
    next_at: int
    """Where `next` is written in the file."""

    def numbers(self, tag: int, default: tuple[int, ...] = ()) -> tuple[int, ...]:
        entry = self.entries.get(tag)
        return (entry.numbers(self.order) or default) if entry else default

    def number(self, tag: int, default: int) -> int:
        return self.numbers(tag, (default,))[0]


def first_directory(data: bytes) -> Directory:
    """The first directory of a TIFF structure.

    Raises:
        ValueError: not a TIFF structure.
    """
    order = {b"II": "<", b"MM": ">"}.get(data[:2])
    if order is None or len(data) < 8:
        raise ValueError("no TIFF structure")
    if is_big(data):
        return directory(data, struct.unpack_from(f"{order}Q", data, 8)[0])
    return directory(data, struct.unpack_from(f"{order}I", data, 4)[0])


def directory(data: bytes, offset: int) -> Directory:
    """The directory at an offset. Tags of unknown types, or whose values lie outside of the data, are left out.

    Raises:
        ValueError: there is no directory.
    """
    order, big = ("<" if data[:2] == b"II" else ">"), is_big(data)
    word, inline = ("Q", 8) if big else ("I", 4)
    head, record = ("Q", 20) if big else ("H", 12)
    start = offset + struct.calcsize(order + head)
    if offset < 8 or start > len(data):
        raise ValueError(f"no directory at {offset}")
    (count,) = struct.unpack_from(order + head, data, offset)
    if count > MOST_ENTRIES or start + count * record > len(data):
        raise ValueError(f"no directory at {offset}")
    entries = {}
    for at in range(start, start + count * record, record):
        tag, kind, number = struct.unpack_from(f"{order}HH{word}", data, at)
        length = _BYTES_OF_TYPE.get(kind, 0) * number
        place = at + 4 + struct.calcsize(order + word)
        if length > inline:
            (place,) = struct.unpack_from(order + word, data, place)
        if length and place + length <= len(data):
            entries[tag] = Entry(tag, kind, number, bytes(data[place : place + length]), place)
    end = start + count * record
    following = struct.unpack_from(order + word, data, end)[0] if end + inline <= len(data) else 0
    return Directory(order, entries, following, end)


def entry(order: str, tag: int, kind: int, *values: int) -> Entry:
    """A tag of whole numbers."""
    return Entry(tag, kind, len(values), struct.pack(f"{order}{len(values)}{_LETTER_OF_TYPE[kind]}", *values), 0)


def header(order: str, offset: int) -> bytes:
    """The first 8 bytes of a TIFF structure whose directory is at an offset."""
    return (b"II" if order == "<" else b"MM") + struct.pack(f"{order}HI", 42, offset)


def packed(order: str, entries: Iterable[Entry], offset: int) -> bytes:
    """A directory without a next one, and its values behind it, for an even offset. BigTIFF's types are left out."""
    in_order = sorted(each for each in entries if each.type not in _BIG_TYPES)
    records, values = [], b""
    behind = offset + 2 + 12 * len(in_order) + 4
    for each in in_order:
        if len(each.raw) <= 4:
            place = each.raw.ljust(4, b"\0")
        else:
            place = struct.pack(f"{order}I", behind + len(values))
            values += each.raw + b"\0" * (len(each.raw) % 2)
        records.append(struct.pack(f"{order}HHI", each.tag, each.type, each.length) + place)
    return struct.pack(f"{order}H", len(in_order)) + b"".join(records) + bytes(4) + values


class Tree(NamedTuple):
    """A directory with those that its tags point to."""

    order: str
    entries: dict[int, Entry]
    below: dict[int, Tree]
    broken: bool
    """Whether there were directories below that could not be read."""


def tree(data: bytes, directory_: Directory, depth: int = 3) -> Tree:
    """A directory and those below it; broken ones are left out."""
    entries, below, broken = dict(directory_.entries), {}, False
    for tag in SUBDIRECTORIES:
        if tag in entries:
            offset = directory_.number(tag, 0)
            del entries[tag]
            try:
                below[tag] = tree(data, directory(data, offset), depth - 1) if depth else None
            except ValueError:
                broken = True
    return Tree(directory_.order, entries, {tag: sub for tag, sub in below.items() if sub}, broken)


def packed_tree(tree_: Tree, offset: int) -> tuple[bytes, int]:
    """A directory behind those below it, to be put at an even offset; and the offset of the directory itself."""
    entries, block = dict(tree_.entries), b""
    for tag, sub in tree_.below.items():
        content, at = packed_tree(sub, offset + len(block))
        block += content
        entries[tag] = entry(tree_.order, tag, LONG, at)
    return block + packed(tree_.order, entries.values(), offset + len(block)), offset + len(block)


def is_big(data: bytes) -> bool:
    """Whether a TIFF structure has offsets of 8 bytes."""
    return data[2:4] in (b"\x2b\0", b"\0\x2b")
