"""What a command writes never takes an input's place, and what is there only if it is asked to."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from pennet.errors import UserError


def same_file(path: Path) -> object:
    """What all names of one file have in common, whatever links and capitals are between them."""
    for name in (path, path.resolve()):  # resolved, `missing/../photo.png` is there
        try:
            found = name.stat()
        except OSError:
            continue
        return found.st_dev, found.st_ino
    return path.resolve()


def check_new(path: Path, inputs: Iterable[Path], overwrite: bool) -> None:
    """Whether a result may be written there.

    Raises:
        UserError: it would take the place of an input, of a folder, or, without `overwrite`, of anything; or lie in a file.
    """
    from pennet.data.sources.search import shown

    if (folder := next((folder for folder in path.parents if folder.exists()), None)) and not folder.is_dir():
        raise UserError(f"{shown(path)}: {shown(folder)} is a file and holds no others; name another folder")
    if same_file(path) in map(same_file, inputs):
        raise UserError(f"{shown(path)}: is an input, and inputs are never overwritten; choose another name for the result")
    if path.is_dir():
        raise UserError(f"{shown(path)}: is a folder; name a file in it")
    if path.exists() and not overwrite:
        raise UserError(f"{shown(path)}: exists; --overwrite replaces it")


def check_png(path: Path) -> None:
    """Raises a UserError unless the name is one of a PNG."""
    from pennet.data.sources.search import shown

    if path.suffix.lower() != ".png":
        raise UserError(f"{shown(path)}: the result is a PNG; choose a name that ends in .png")
