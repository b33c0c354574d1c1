"""Writes a filled photo as it was, but for the hole."""

from __future__ import annotations

from pathlib import Path

from pennet.photos.photo import Photo, Pixels


def write_photo(path: Path, photo: Photo, filled: Pixels) -> tuple[str, ...]:
    """Writes, atomically, in the format of the name's suffix, the photo with `filled` in the place of its pixels.

    Returns:
        What the format could not keep, each a sentence.

    Raises:
        UserError: the suffix names no format that photos are written in.
        OSError: the disk is full or not writable.
    """
    raise NotImplementedError
