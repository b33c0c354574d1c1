"""Reads a photo with all that belongs to it."""

from __future__ import annotations

from pathlib import Path

from pennet.photos.photo import Photo


def read_photo(path: Path) -> Photo:
    """Reads a photo of any size and depth.

    Raises:
        UserError: not a photo, several frames or pages, broken; names the file.
    """
    raise NotImplementedError
