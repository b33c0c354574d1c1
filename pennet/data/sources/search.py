"""Finds the pictures of a folder, and says what else lies there."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import TypeVar

from pennet.data.pictures.picture_files import SUFFIXES
from pennet.errors import UserError

AnyPath = TypeVar("AnyPath", bound=PurePath)

_SHOWN = 3
_MASK = re.compile(r"_mask\d*$")
"""Ends the names of masks that lie beside their pictures, as LaMa has them: `NAME_mask.png` or `NAME_mask001.png`."""

_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")
"""Line ends, a terminal's commands, and what turns the direction of the text around."""


@dataclass(frozen=True)
class Found:
    """What lies in a folder and its subfolders, each list sorted."""

    pictures: list[Path] = field(default_factory=list)
    """Files with a suffix of `pennet.data.pictures.picture_files.SUFFIXES`; the files may still be broken."""
    masks: list[Path] = field(default_factory=list)
    """`NAME_mask.png` beside a picture NAME: where its hole is, and no photo (`masks_beside`)."""
    others: list[Path] = field(default_factory=list)
    """Files of other types."""
    hidden: list[Path] = field(default_factory=list)
    """Files and folders whose names begin with a dot: no photos, like the `._20.jpg` that macOS writes beside `20.jpg`."""
    links: list[Path] = field(default_factory=list)
    """Linked folders, which are not entered, and links that lead nowhere."""
    closed: list[Path] = field(default_factory=list)
    """Folders that may not be read."""
    devices: list[Path] = field(default_factory=list)
    """Pipes, sockets and devices, whatever they are called: who opened one might wait for ever."""

    def left_out(self) -> str:
        """What is no picture, counted and named for a reader; empty if there is nothing."""
        types = Counter(shown(Path(path.suffix.lower())) if path.suffix else "no suffix" for path in self.others)
        kinds = ", ".join(f"{count} {suffix}" for suffix, count in sorted(types.items()))
        parts = {
            "masks of pictures beside them": self.masks,
            f"of other types ({kinds})": self.others,
            "hidden": self.hidden,
            "linked folders or broken links": self.links,
            "folders that may not be read": self.closed,
            "pipes or devices": self.devices,
        }
        return "; ".join(f"{len(paths)} {what}: {a_few(map(shown, paths))}" for what, paths in parts.items() if paths)


def find_pictures(folder: Path, without: Collection[Path] = ()) -> Found:
    """Looks through a folder and its subfolders, as `look_through` does.

    Raises:
        UserError: no such folder, or pictures whose names are no UTF-8; names them all.
    """
    found = look_through(folder, without)
    odd = [shown(path) for path in found.pictures if not is_utf_8(path.relative_to(folder))]
    if odd:
        raise UserError(f"{shown(folder)}: {len(odd)} file name(s) are no UTF-8; rename {', '.join(odd)}")
    return found


def look_through(folder: Path, without: Collection[Path] = ()) -> Found:
    """What lies in a folder and its subfolders, whatever it is called.

    Args:
        folder: where to look; its own name may begin with a dot.
        without: folders below it that are passed over.

    Raises:
        UserError: no such folder, or a file.
    """
    if not folder.is_dir():
        what = "is a file; give the folder that it lies in, or unpack it" if folder.exists() else "no such folder"
        raise UserError(f"{shown(folder)}: {what}")
    found = Found()
    waiting = [folder]
    while waiting:
        current = waiting.pop()
        try:
            paths = list(current.iterdir())
        except PermissionError:
            found.closed.append(current)
            continue
        for path in paths:
            if path in without:
                continue
            if path.name.startswith("."):
                found.hidden.append(path)
            elif path.is_symlink() and not path.is_file():
                found.links.append(path)
            elif path.is_dir():
                waiting.append(path)
            elif not path.is_file():
                found.devices.append(path)
            else:
                (found.pictures if path.suffix.lower() in SUFFIXES else found.others).append(path)
    masks = masks_beside(found.pictures)
    found.masks.extend(masks)
    found.pictures[:] = [path for path in found.pictures if path not in masks]
    for paths in (found.pictures, found.masks, found.others, found.hidden, found.links, found.closed, found.devices):
        paths.sort()
    return found


def masks_beside(pictures: Iterable[AnyPath]) -> dict[AnyPath, str]:
    """The masks among pictures: those called NAME_mask (and perhaps a number) beside another one called NAME.

    Returns:
        Each mask with the NAME of its picture.
    """
    pictures = list(pictures)
    names = {(path.parent, path.stem) for path in pictures}
    found = {path: without_mask(path.stem) for path in pictures if _MASK.search(path.stem)}
    return {path: name for path, name in found.items() if (path.parent, name) in names}


def without_mask(name: str) -> str:
    """`NAME_mask001` -> `NAME`; other names as they are."""
    return _MASK.sub("", name)


def shown(path: Path) -> str:
    """A path that any terminal and file can take, in one line: bytes that are no UTF-8 as `\\xe9`, a line's end as `\\n`."""
    return in_one_line(os.fspath(path))


def in_one_line(name: str) -> str:
    """The same of a name that may be no path: a glob, an address."""
    text = os.fsencode(name).decode("utf-8", "backslashreplace")
    return _CONTROL.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def a_few(items: Iterable[str]) -> str:
    """The first few, and how many more there are."""
    items = list(items)
    return ", ".join(items[:_SHOWN]) + (f" and {len(items) - _SHOWN} more" if len(items) > _SHOWN else "")


def is_utf_8(path: Path) -> bool:
    """Whether every system and file format takes its name."""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        return False
    return True
