"""What a data set is: where it comes from, what its licence asks, and how its archives become a stream of pictures."""

from __future__ import annotations

from collections.abc import Callable, Collection, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from pennet.data.pictures.picture_files import SUFFIXES
from pennet.data.sources import archives
from pennet.data.sources.download import Remote
from pennet.data.sources.search import a_few, shown
from pennet.errors import UserError

_TELLING = (*SUFFIXES, ".txt", ".parquet", ".zip", ".dat")
"""Endings of the files that are read, or tell what was given instead; whatever else lies beside them is passed over."""


@dataclass(frozen=True)
class Item:
    """One picture, as it lies in the source."""

    key: str
    """Its name, unique in the data set: the whole path in the source, or the number that every copy of the set shares."""
    group: str
    """Pictures of a group look alike; a group is never in two splits."""
    split: str | None
    """`train`, `val` or `test`, where the source itself says so."""
    content: bytes
    """The file, as it was."""


@dataclass(frozen=True, slots=True)
class Place:
    """What is known of a picture before it is read; as in `Item`."""

    key: str
    group: str
    split: str | None = None


class PlacesByName(Mapping[str, Place]):
    """Places that a function tells from the names, so that of millions of pictures nothing but the names is kept.

    Args:
        names: of all files; their order is that of the pictures.
        place_of: the place of a picture, None for a file that is none.
    """

    def __init__(self, names: Collection[str], place_of: Callable[[str], Place | None]) -> None:
        self._names, self._place_of = names, place_of
        self._count = sum(1 for _ in self)

    def __getitem__(self, name: str) -> Place:
        place = self._place_of(name) if name in self._names else None
        if place is None:
            raise KeyError(name)
        return place

    def __iter__(self) -> Iterator[str]:
        return (name for name in self._names if self._place_of(name) is not None)

    def __len__(self) -> int:
        return self._count


class Remembered(Container[str]):
    """Which texts there were, in 8 bytes each: two of 2 million are taken for one another once in 10 million times."""

    def __init__(self, texts: Iterable[str]) -> None:
        self._hashes = np.sort(np.fromiter(map(hash, texts), np.int64))

    def __contains__(self, text: object) -> bool:
        place = int(self._hashes.searchsorted(hash(text)))
        return place < len(self._hashes) and int(self._hashes[place]) == hash(text)

    @property
    def all_differ(self) -> bool:
        """False also where two of them are taken for one another."""
        return bool(np.all(self._hashes[1:] != self._hashes[:-1]))


@dataclass(frozen=True)
class Source:
    """Archives or folders whose pictures are all known and counted."""

    places: Mapping[str, Place]
    """By the names that `contents` yields."""
    contents: Callable[[], Iterator[tuple[str, bytes]]]
    """A fresh pass over the files, in the order of the source: nothing is kept in memory."""
    own_split: str = ""
    """Whose split it is that the source brings; empty if it brings none."""
    caveat: str = ""
    """What speaks against names that the paper's lists are applied to; empty if nothing does."""
    left_out: str = ""
    """Files that are no pictures of it, counted and named; empty if there are none, or they are known to lie there."""
    notices: Mapping[str, bytes] = field(default_factory=dict)
    """Files that the licence asks to go with the pictures, by name."""

    def items(self) -> Iterator[Item]:
        """Every picture once.

        Raises:
            UserError: an archive is damaged; names it.
        """
        for name, content in self.contents():
            place = self.places[name]
            yield Item(place.key, place.group, place.split, content)


@dataclass(frozen=True)
class Archive:
    """A file that a data set is downloaded as."""

    file: str
    """What it is called here."""
    holds: str
    remote: Remote
    check: str
    """How a wrong or changed file is noticed."""
    about_bytes: int | None = None
    """Its size as others report it, where no exact one was published."""

    @property
    def size_bytes(self) -> int | None:
        return self.remote.size_bytes or self.about_bytes


@dataclass(frozen=True)
class SplitList:
    """One list of a published split."""

    member: str
    """Path inside the archive of the lists."""
    num_images: int
    sha256: str


@dataclass(frozen=True)
class PaperLists:
    """The split that the paper's authors used, as it is published."""

    remote: Remote
    train: SplitList
    test: SplitList
    key_of: Callable[[str], str]
    """A line of the lists -> the key of the picture."""


@dataclass(frozen=True)
class DataSet:
    name: str
    title: str
    homepage: str
    holds: str
    num_images: int | None
    """None: whatever is brought."""
    splits: tuple[tuple[str, int], ...]
    """Pictures in each split, before validation is taken from training; empty where that depends on what is brought."""
    split_origin: str
    licence: str
    """In a sentence, with what it forbids; a paraphrase, the owner's words hold."""
    must_accept: bool
    """Nothing is downloaded before somebody has agreed to the licence."""
    citation: str
    """BibTeX."""
    archives: tuple[Archive, ...]
    disk_bytes: int | None
    """The archives and one prepared copy; None: not known before the download."""
    read: Callable[[Sequence[Path]], Source]
    """Archives or folders -> what they hold, checked to be this data set and whole (UserError)."""
    paper: PaperLists | None = None
    known: tuple[str, ...] = ()
    """Bad or repeated pictures."""
    traps: tuple[str, ...] = ()

    def check_accepted(self, accepted: bool) -> None:
        """Asks for the agreement that a licence needs.

        Raises:
            UserError: it is needed and was not given; states the licence.
        """
        if self.must_accept and not accepted:
            how = "accept_licence: true in its entry of sources, or --accept-licence"
            raise UserError(f"{self.name}: read its licence at {self.homepage} and accept it first ({how}): {self.licence}")


def of_ones_own(
    name: str,
    title: str,
    *,
    holds: str,
    split_origin: str,
    read: Callable[[Sequence[Path]], Source],
    traps: tuple[str, ...] = (),
) -> DataSet:
    """A data set of which nothing is known but how it is read; see `DataSet`."""
    return DataSet(
        name=name,
        title=title,
        homepage="",
        holds=holds,
        num_images=None,
        splits=(),
        split_origin=split_origin,
        licence="Whatever you may do with your own pictures.",
        must_accept=False,
        citation="",
        archives=(),
        disk_bytes=None,
        read=read,
        traps=traps,
    )


def listing(paths: Sequence[Path], others: list[str] | None = None) -> dict[str, Path]:
    """Every picture and list in archives and folders, and the one it lies in.

    Args:
        paths: archives or folders.
        others: gets the names of all other files; None: they are passed over.

    Raises:
        UserError: none given, not readable, or a picture that is there twice; names them.
    """
    if not paths:
        raise UserError("no archive or folder given; name what was downloaded")

    def wanted(name: str) -> bool:
        tells = name.lower().endswith(_TELLING)
        if not tells and others is not None:
            others.append(name)
        return tells

    found: dict[str, Path] = {}
    for path in paths:
        for member in archives.members(path, wanted):
            if member.name in found and is_picture(member.name):
                both = f"is in {shown(found[member.name])} and again in {shown(path)}"
                raise UserError(
                    f"{member.name}: {both}; give it once, or put different ones into folders of different names"
                )
            found.setdefault(member.name, path)
    return found


def archive_source(
    members: Mapping[str, Path], places: Mapping[str, Place], own_split: str = "", caveat: str = "", left_out: str = ""
) -> Source:
    """The source that reads `places` out of the archives of `listing`.

    Raises:
        UserError: two files would have one key; names both.
    """
    _check_keys(places)
    paths = dict.fromkeys(members[name] for name in places)

    def contents() -> Iterator[tuple[str, bytes]]:
        for path in paths:
            for member, content in archives.stream(path, lambda name: members.get(name) == path and name in places):  # noqa: B023
                yield member.name, content

    return Source(places, contents, own_split, caveat, left_out)


def _check_keys(places: Mapping[str, Place]) -> None:
    if Remembered(place.key for place in places.values()).all_differ:
        return
    name_of: dict[str, str] = {}
    for name, place in places.items():
        other = name_of.setdefault(place.key, name)
        if other != name:
            raise UserError(f"{other!r} and {name!r} would both be {place.key}; remove one")


def is_picture(name: str) -> bool:
    """Whether a file is taken for a picture by its name."""
    return name.lower().endswith(SUFFIXES)


def check_complete(title: str, found: Container[str], expected: Iterable[str], remedy: str) -> None:
    """Raises UserError where keys are missing: how many of how many, the first few of them, and the remedy."""
    count, missing = 0, []
    for count, key in enumerate(expected, start=1):  # noqa: B007, there may be millions
        if key not in found:
            missing.append(key)
    if missing:
        counted = f"{len(missing):,} of {count:,} pictures are missing"
        raise UserError(f"{title}: {counted}: {a_few(missing)}; {remedy}")


def not_this_set(title: str, members: Iterable[str], expected: str, reasons: Mapping[str, str]) -> UserError:
    """What to raise where an archive holds no picture of a data set.

    Args:
        title: the data set.
        members: what was found instead.
        expected: a name that was looked for.
        reasons: substrings of the names of known look-alikes, and why each cannot be used.
    """
    members = list(members)
    for mark, reason in reasons.items():
        if any(mark in f"/{name}" for name in members):
            return UserError(f"{title}: {reason}")
    instead = a_few(members) or "no picture, list or archive at all"
    return UserError(f"{title}: holds no file such as {expected}, but {instead}; give the archive of this data set")
