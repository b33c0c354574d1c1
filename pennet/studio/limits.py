"""How much of a server's memory, time and disk one visitor can take."""

from __future__ import annotations

from typing import NamedTuple


class Limits(NamedTuple):
    """Bounds of what is uploaded."""

    megabytes: int = 50
    """Of one file."""
    megapixels: int = 50
    """Of one photo: a small file can hold very many pixels."""
    keep_minutes: float = 60.0
    """After which what was uploaded or made is deleted."""
