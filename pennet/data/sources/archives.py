"""Reads archives and folders one file at a time: nothing is unpacked, and nothing that they say of themselves is trusted."""

from __future__ import annotations

import bz2
import errno
import gzip
import lzma
import math
import re
import stat
import zipfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np

from pennet.data.sources.archive_entries import LINK, NO_FILE, Entries, Entry
from pennet.data.sources.formats import HEAD_BYTES, beginning, compression, is_tar, is_zip, picture_kind
from pennet.data.sources.tar_entries import tar_entries
from pennet.errors import MOST_LISTED, UserError, all_at_once
from pennet.extras import require

MAX_MEMBER_BYTES = 1 << 30
"""No picture is larger; a member is in memory as a whole."""
MAX_RATIO = 200
"""What an archive holds, in times of its own size. Beyond it is a bomb: deflate reaches 1000 with nothing but zeros."""
ALWAYS_BYTES = 64 << 20
"""What any archive may hold, however small it is itself: a blank picture shrinks as well as a bomb."""

_HIDDEN = {"__macosx", "thumbs.db", "desktop.ini", "icon\r"}


@dataclass(frozen=True)
class Member:
    """A regular file in an archive or folder."""

    name: str
    """Path inside it, with `/` between folders and none at the ends."""
    size: int
    """Bytes, unpacked."""


def everything(name: str) -> bool:
    return True


def stream(path: Path, wanted: Callable[[str], bool] = everything) -> Iterator[tuple[Member, bytes]]:
    """The files of an archive with their contents, in the archive's order; those of a folder sorted.

    The format is told by the first bytes, whatever the name ends in: zip (stored or deflated), tar, or tar compressed by
    gzip, bzip2, xz or zstd. In memory there is one content at a time, and 8 bytes for each name; a zip's list besides.
    Hidden files (`.x`, `__MACOSX`, `Thumbs.db` and the like) are passed over.

    Args:
        path: an archive, or a folder, which is searched with its subfolders.
        wanted: told the name of each file that is not hidden, says whether to read it.

    Raises:
        UserError: no archive; damaged or cut short, with the last good member; a name that leads outside, wanted or not;
            more than `MAX_RATIO` times its own size. All of it comes up on the way, when what lies before has been given.
            Of wanted members only, and all of them together at the end: links, devices, encrypted, sparse or compressed in
            another way, larger than `MAX_MEMBER_BYTES`, a name that is no UTF-8 or is there twice.
        OSError: the disk, or no right to read; names the file.
    """
    return _walk(path, wanted, read=True)


def members(path: Path, wanted: Callable[[str], bool] = everything) -> Iterator[Member]:
    """The files that `stream` would give, without reading them where the format allows that; raises what it raises."""
    return (member for member, _ in _walk(path, wanted, read=False))


def _walk(path: Path, wanted: Callable[[str], bool], read: bool) -> Iterator[tuple[Member, bytes]]:
    """Files that are wanted and may be read, with no content where it is not to be read."""
    with _naming(path):
        is_folder = path.is_dir()
        entries = _in_folder(path) if is_folder else _in_archive(path)
        most = math.inf if is_folder else max(ALWAYS_BYTES, MAX_RATIO * path.stat().st_size)
    held, good, seen, refused = 0, "", _Names(), _Refused()
    with closing(entries):
        while True:
            with _naming(path, good):
                entry = next(entries, None)
            if entry is None:
                refused.complain(path)
                return
            name = _plain(entry.name)
            outside = "" if is_folder else _outside(entry.name)
            if outside:
                raise UserError(f"{path}: member {entry.name!r} {outside}")
            held += entry.size
            if held > most:
                whole = f"holds more than {most:,} bytes, {MAX_RATIO} times its own size"
                raise UserError(f"{path}: {whole}, at {name!r}; that is a bomb, or pack it again with less compression")
            if not (entry.is_folder or _hidden(name)) and wanted(name):
                refusal = entry.refusal or _refusal(name, entry.size)
                if not refusal and not seen.add(name):
                    refusal = "is there twice; remove one"
                if refusal:
                    refused.add(name, refusal)
                else:
                    with _naming(path, good, name):
                        content = entry.read() if read else b""
                        if read and len(content) != entry.size:
                            raise EOFError(f"{len(content):,} bytes came out, {entry.size:,} were announced")
                    yield Member(name, entry.size), content
            with _naming(path, good, name):
                entry.skip()
            good = good if entry.is_folder else name


@contextmanager
def _naming(path: Path, good: str = "", name: str = "") -> Iterator[None]:
    """Whatever goes wrong with an archive becomes the user's error, which names it, where, and the last good member."""
    try:
        yield
    except (UserError, MemoryError):
        raise
    except Exception as error:  # on broken archives decoders stumble in any way, not only as they document
        if isinstance(error, OSError) and error.errno and error.errno != errno.EINVAL:  # EINVAL: an offset that cannot be
            raise OSError(error.errno, error.strerror, error.filename or str(path)) from error
        broken = f"damaged or cut short{f' in {name!r}' if name else ''} ({error or type(error).__name__})"
        before = f"the last good member is {good!r}" if good else "no member before it is good"
        raise UserError(f"{path}: {broken}; {before}; bring it here again, or pack it again") from error


def _plain(name: str) -> str:
    """Without what says nothing: `./a//b/` is `a/b`. A path object would intern the parts of every name."""
    return "/".join(part for part in name.split("/") if part not in ("", ".")) or "."


def _outside(name: str) -> str:
    """Why a name is refused whoever wants it, with the remedy: where something unpacked it, it could lie outside."""
    trust = "take the archive from a source that you trust"
    if name.startswith("/") or re.match("[A-Za-z]:", name):
        return f"has an absolute path; {trust}, or pack it again by the name of its folder"
    if "\\" in name:
        return f"has a backslash in its path, as some tools of Windows write; {trust}, or pack it again with another tool"
    return f"leads outside (..); {trust}" if ".." in name.split("/") else ""


def _hidden(name: str) -> bool:
    return any(part.startswith(".") or part.lower() in _HIDDEN for part in name.split("/"))


def name_refusal(name: str) -> str:
    """Why no file may have this path, with the remedy; empty if it may."""
    if "\\" in name:
        return "has a backslash in its path; rename it"
    if re.match("[A-Za-z]:", name):
        return "begins like a drive of Windows; rename it"
    if re.search(r"[\x00-\x1f\x7f]", name):
        return "has a control character in its name; rename it"
    if re.search("[\ud800-\udfff]", name):
        return "has a name that is no UTF-8; rename it"
    return ""


def _refusal(name: str, size: int) -> str:
    if refusal := name_refusal(name):
        return refusal
    return f"has {size:,} bytes, more than {MAX_MEMBER_BYTES:,}; that is no picture" if size > MAX_MEMBER_BYTES else ""


class _Refused:
    """Members that cannot be taken: who has to mend them wants to know them all, and not one a try."""

    def __init__(self) -> None:
        self._count = 0
        self._first: list[str] = []

    def add(self, name: str, refusal: str) -> None:
        self._count += 1
        if len(self._first) < MOST_LISTED:
            self._first.append(f"member {name!r} {refusal}")

    def complain(self, path: Path) -> None:
        """Raises UserError where there are any."""
        if self._count:
            raise UserError(f"{path}: {all_at_once(self._first, 'members cannot be taken', self._count)}")


class _Names:
    """Which names came by. There may be millions, so of most only 8 bytes are kept: two of 2 million names fall together
    once in 10 million times."""

    def __init__(self) -> None:
        self._sorted = np.empty(0, np.int64)
        self._recent: set[int] = set()

    def add(self, name: str) -> bool:
        """Takes a name; whether it is a new one."""
        key = hash(name)
        place = int(self._sorted.searchsorted(key))
        if key in self._recent or (place < len(self._sorted) and self._sorted[place] == key):
            return False
        self._recent.add(key)
        if len(self._recent) == 1024:
            both = np.concatenate([self._sorted, np.fromiter(self._recent, np.int64)])
            both.sort(kind="stable")  # fast where most of it is sorted
            self._sorted, self._recent = both, set()
        return True


def _in_folder(folder: Path) -> Entries:
    waiting = [""]
    while waiting:
        name = waiting.pop()
        path = folder / name
        status = path.lstat() if name else path.stat()  # the folder itself may be a link
        if stat.S_ISDIR(status.st_mode):
            names = sorted((child.name for child in path.iterdir() if not _hidden(child.name)), reverse=True)
            waiting += [f"{name}/{child}" if name else child for child in names]
            yield Entry(name, 0, bytes, is_folder=True)
        elif stat.S_ISLNK(status.st_mode) and path.is_dir():  # its files might be wanted, and would be missing unseen
            raise UserError(f"{path}: is a linked folder, which is not entered; put the folder itself there or remove it")
        else:
            refusal = "" if stat.S_ISREG(status.st_mode) else LINK if stat.S_ISLNK(status.st_mode) else NO_FILE
            yield Entry(name, status.st_size, partial(_read_file, path, status.st_size), refusal=refusal)


def _read_file(path: Path, size: int) -> bytes:
    with path.open("rb") as file:
        return file.read(size + 1)  # no more, however it grows


def _in_archive(path: Path) -> Entries:
    """Opens an archive of whatever format."""
    if not path.is_file():
        raise UserError(f"{path}: no such file or folder")
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
    if is_zip(head):
        return _in_zip(path)
    packed = compression(head)
    if packed:
        with _decompressed(path, packed) as file:
            head = file.read(HEAD_BYTES)
    if not is_tar(head):
        if not packed and (kind := picture_kind(head)):
            raise UserError(f"{path}: is a single picture ({kind}); give its folder, or an archive of pictures")
        begins = f"unpacked by {packed} it begins" if packed else "it begins"
        remedy = "download it again, or unpack it yourself and give the folder"
        raise UserError(f"{path}: no zip or tar archive, for {begins} with {beginning(head)}; {remedy}")
    return _in_tar(path, packed)


def _decompressed(path: Path, packed: str) -> BinaryIO:
    """A file that can be read, and sought forward, as if it were not compressed."""
    if packed == "zstd":
        require("data", "zstandard")
        import zstandard

        reader = zstandard.ZstdDecompressor().stream_reader(path.open("rb"), read_across_frames=True, closefd=True)
        return cast(BinaryIO, reader)
    openers: dict[str, Callable[[Path, str], Any]] = {"": open, "gzip": gzip.open, "bzip2": bz2.open, "xz": lzma.open}
    return cast(BinaryIO, openers[packed](path, "rb"))


def _in_zip(path: Path) -> Entries:
    try:
        archive = zipfile.ZipFile(path)
    except zipfile.BadZipFile as error:  # its own words are that this is no zip file
        raise EOFError("the list of members at its end is missing or broken") from error
    with archive:
        for info in archive.infolist():
            name = info.orig_filename  # `filename` ends at a null byte
            if not info.flag_bits & 0x800:  # no mark for UTF-8, which many tools write nonetheless
                name = name.encode("cp437").decode("utf-8", "surrogateescape")
            is_folder = name.endswith("/")
            yield Entry(name, info.file_size, partial(_read_zipped, archive, info), is_folder, _zip_refusal(info))


def _zip_refusal(info: zipfile.ZipInfo) -> str:
    kind = stat.S_IFMT(info.external_attr >> 16)  # where a system wrote it that has such kinds
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        return LINK if kind == stat.S_IFLNK else NO_FILE
    if info.flag_bits & 0x41:
        return "is encrypted; pack it again without a password"
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        return f"is compressed by zip's method {info.compress_type}; pack it again, stored or deflated"
    return ""


def _read_zipped(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytes:
    with archive.open(info) as file:
        return file.read(info.file_size)  # no more than that is unpacked; compared with its checksum


def _in_tar(path: Path, packed: str) -> Entries:
    with _decompressed(path, packed) as file:
        yield from tar_entries(file)
