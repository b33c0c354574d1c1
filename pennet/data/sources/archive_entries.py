"""What an archive says of its members, one after the other, before anything of it is believed."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass

LINK = "is a link, which is not followed; put the file itself there (tar: --dereference --hard-dereference)"
NO_FILE = "is a device or a pipe, no file; pack the set without it"


@dataclass(frozen=True)
class Entry:
    """What an archive says of one of its members."""

    name: str
    """As stored; bytes that are no UTF-8 as lone surrogates."""
    size: int
    read: Callable[[], bytes]
    """The content; works until the next entry is asked for."""
    is_folder: bool = False
    refusal: str = ""
    """Why its content cannot be had, with a remedy; empty if it can."""
    skip: Callable[[], None] = lambda: None
    """Goes on to its end, wherever in it one is."""


Entries = Generator[Entry, None, None]
