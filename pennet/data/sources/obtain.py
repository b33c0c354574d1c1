"""Brings everything that a data set is made of: archives, from wherever they are, and the lists of the paper's split."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import unquote, urlsplit

from pennet.data.sets import hub
from pennet.data.sets.card import bytes_text
from pennet.data.sets.spec import Archive, DataSet, PaperLists
from pennet.data.sets.splits import fetch_lists
from pennet.data.sources.archives import members
from pennet.data.sources.download import Remote, fetch_remote
from pennet.data.sources.drive import file_address, file_id
from pennet.errors import UserError

LISTS = "paper-lists.zip"
"""What the paper's lists are called beside the archives."""
PARTIAL = ".partial"
"""Folder beside the archives for what has not come completely yet."""
Lists = Literal["paper", "seeded", "paper_else_seeded"]


@dataclass(frozen=True)
class Arrived:
    """An archive, or a folder of pictures, that is here."""

    path: str
    size_bytes: int
    sha256: str
    """Of the file; of a folder, of the names and sizes in it."""


@dataclass(frozen=True)
class Obtained:
    """What a data set is read from."""

    data_set: str
    archives: list[Arrived]
    lists: Arrived | None
    """The lists of the paper's split; None for a seeded one, or one that the source brings."""
    no_lists: str
    """Why they are not here, where they were wanted; empty if they are, or were not."""


def obtain(
    data_set: DataSet,
    folder: Path,
    *,
    own: Sequence[str] = (),
    sha256: Sequence[str] = (),
    revision: str = "",
    accepted: bool = False,
    lists: Lists = "paper",
    say: Callable[[str], object] = print,
) -> Obtained:
    """Downloads what is not here, goes on where an earlier try was cut, and checks what is.

    Args:
        data_set: which.
        folder: where downloads go. What the owner hands out by a page only is looked for here, too.
        own: archives of one's own, as paths, which stay where they are, or URLs, also Google Drive's links to share; of
            `hub` OWNER/NAME. Empty: the data set's.
        sha256: checksums of `own`; empty if there are none.
        revision: of `hub`.
        accepted: its licence is agreed to.
        lists: whether the paper's lists are needed, wanted, or neither; where the data set has such.
        say: told what a person should know.

    Raises:
        UserError: a licence that is not accepted, a file that is not there, is another one or cannot be had; names it.
        TransientError: the network or a server failed.
        OSError: a file cannot be read or written; names it.
    """
    data_set.check_accepted(accepted)
    say(f"licence: {data_set.licence}")
    wanted = None if lists == "seeded" else data_set.paper
    no_lists = _bring_lists(data_set.name, wanted, lists, folder, say) if wanted else ""
    archives = _bring_archives(data_set, folder, own, sha256, revision, say)
    return Obtained(data_set.name, archives, _arrived(folder / LISTS) if wanted and not no_lists else None, no_lists)


def _bring_lists(name: str, paper: PaperLists, lists: Lists, folder: Path, say: Callable[[str], object]) -> str:
    """Why the lists are not here; empty if they are."""
    try:
        if not _has(folder / LISTS, paper.remote, say):
            fetch_lists(paper, folder / LISTS, folder / PARTIAL)
    except UserError as error:
        if lists == "paper":
            raise
        say(f"{name}: the paper's lists cannot be had, so its split will be a seeded one, and say so: {error}")
        return str(error)
    return ""


def _bring_archives(
    data_set: DataSet, folder: Path, own: Sequence[str], sha256: Sequence[str], revision: str, say: Callable[[str], object]
) -> list[Arrived]:
    if data_set is hub.HUB:
        if len(own) != 1 or not revision:
            raise UserError("hub: name one data set of the hub, OWNER/NAME, and its commit")
        hub.download(own[0], revision, folder)
        return [_arrived(folder)]
    if own:
        files = Counter(_file_of(source) for source in own if _is_url(source))
        if twice := [name for name, count in files.items() if count > 1]:
            raise UserError(
                f"{data_set.name}: two addresses would both become {twice[0]}; get one of them, and name its path"
            )
        expected = [*sha256, *("" for _ in own[len(sha256) :])]
        return [_own(source, checksum, folder, say) for source, checksum in zip(own, expected, strict=True)]
    if not data_set.archives:
        raise UserError(f"{data_set.name}: there is nothing to download; give what you have, your own archives or folders")
    return [_published(archive, folder, say) for archive in data_set.archives]


def check_unchanged(obtained: Obtained, remedy: str) -> None:
    """Whether the archives are still there, as they came; of folders it looks at names and sizes.

    Args:
        obtained: what came.
        remedy: how it is brought here again; ends the message.

    Raises:
        UserError: one is missing or has changed since; names it.
    """
    for arrived in [*obtained.archives, *([obtained.lists] if obtained.lists else [])]:
        path = Path(arrived.path)
        if not path.exists():
            raise UserError(f"{path}: is no longer there; bring it back, or {remedy}")
        if has_changed(arrived):
            raise UserError(f"{path}: has changed since it was downloaded; {remedy}")


def has_changed(arrived: Arrived, since: float = 0.0) -> bool:
    """Whether what is there is something else than what came; a folder is told by its names and sizes.

    Args:
        arrived: what came, and is there.
        since: seconds of the epoch; an archive of the same size that is no newer is not read, and taken for the same.
    """
    path = Path(arrived.path)
    if path.is_file():
        status = path.stat()
        if status.st_size == arrived.size_bytes and status.st_mtime <= since:
            return False
    return _arrived(path) != arrived


def _own(source: str, sha256: str, folder: Path, say: Callable[[str], object]) -> Arrived:
    if _is_url(source):
        path = folder / _file_of(source)
        on_drive = file_id(source)
        remote = Remote((file_address(on_drive) if on_drive else source,), sha256 or None, kind="archive")
        if not (sha256 and _has(path, remote, say)):
            fetch_remote(remote, path, folder / PARTIAL, "correct its address, or get the file and name its path")
    else:
        path = Path(source)
        if "://" in source and not path.exists():
            raise UserError(f"{source}: only http and https can be downloaded; get the file yourself and name its path")
        if not path.exists():
            raise UserError(f"{path}: no such file or folder; correct its path")
    arrived = _arrived(path)
    if sha256 and arrived.sha256 != sha256:
        raise UserError(f"{path}: sha256 is {arrived.sha256}, expected {sha256}; it is truncated or another version")
    return arrived


def _is_url(source: str) -> bool:
    return source.startswith(("http://", "https://"))


def _file_of(url: str) -> str:
    return file_id(url) or Path(unquote(urlsplit(url).path)).name or "archive"


def _published(archive: Archive, folder: Path, say: Callable[[str], object]) -> Arrived:
    """An archive of the data set's own addresses, or the copy of it that somebody has put into the folder."""
    remote, path = archive.remote, folder / archive.file
    if (
        remote.checksums and not urlsplit(remote.urls[0]).scheme and Path(remote.urls[0]).exists()
    ):  # it comes with the project
        return _own(remote.urls[0], remote.sha256 or "", folder, say)
    if _has(path, remote, say):
        whole = "and whole" if remote.checksums else "with no published checksum to tell if it is whole"
        say(f"{path} is there, {whole}")
    elif not urlsplit(remote.urls[0]).scheme and not Path(remote.urls[0]).exists():
        comes = "comes with the project; start this in the folder of its checkout"
        raise UserError(f"{remote.urls[0]}: {comes}, or bring the file to {path}")
    else:
        say(f"{archive.file}: {archive.holds}, {bytes_text(archive.size_bytes)}")
        sha256 = fetch_remote(remote, path, folder / PARTIAL, f"try again later, or bring the file to {path} yourself")
        if not remote.checksums:
            say(f"{path}: nobody published a checksum; its sha256 is {sha256}")
    return _arrived(path)


def _has(path: Path, remote: Remote, say: Callable[[str], object]) -> bool:
    """Whether a file is there, and is the one that was published, where that can be told; says of another one that it is."""
    if not path.is_file() or not remote.checksums:
        return path.is_file()
    algorithm, expected = next(iter(remote.checksums.items()))
    with path.open("rb") as file:
        found = hashlib.file_digest(file, algorithm).hexdigest()
    if found != expected:
        say(f"{path} is there, but is not taken: its {algorithm} is {found}, expected {expected}")
    return found == expected


def _arrived(path: Path) -> Arrived:
    if path.is_dir():
        return _folder(path)
    with path.open("rb") as file:
        return Arrived(str(path), path.stat().st_size, hashlib.file_digest(file, "sha256").hexdigest())


def _folder(path: Path) -> Arrived:
    digest, size_bytes = hashlib.sha256(), 0
    for name, size in _sizes(path):
        digest.update(f"{size} {name}\n".encode(errors="surrogateescape"))
        size_bytes += size
    return Arrived(str(path), size_bytes, digest.hexdigest())


def _sizes(path: Path) -> Iterator[tuple[str, int]]:
    return ((member.name, member.size) for member in members(path))
