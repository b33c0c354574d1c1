"""Says which archives, folders and masks of one's own have changed since they were taken in, and how to take them in again.

    python -m pipelines.sources

DVC watches none of them: they may be large, lie anywhere, and are not needed where their data came from a remote. So what
stages made of them stays what it was until somebody says otherwise. This looks at names and sizes, and reads an archive only
if that is newer than what was made of it: other bytes of the same size and an older date are left to the stages.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from pennet.config import Config
from pennet.errors import UserError
from pipelines import layout
from pipelines.params import load_params
from pipelines.prepare import read_receipt


def changed(config: Config) -> list[str]:
    """A line for each archive, folder or set of masks that is another one now, or cannot be read; what is gone is none."""
    lines: list[str] = []
    for dataset in config.datasets:
        for found in (_pictures(dataset), _masks(config.of(dataset), dataset)):
            try:
                lines += found
            except (UserError, OSError) as error:  # whether that matters is for the stage to say, if it runs
                lines.append(str(error))
    return lines


def _pictures(dataset: str) -> Iterator[str]:
    from pennet.data.sources.obtain import has_changed

    receipt = layout.receipt_path(dataset)
    if not receipt.is_file():
        return
    for archive in read_receipt(dataset).archives:
        if Path(archive.path).exists() and has_changed(archive, receipt.stat().st_mtime):
            yield f"{archive.path}: has changed since {dataset} was made of it; dvc repro --force download@{dataset}"


def _masks(config: Config, dataset: str) -> Iterator[str]:
    from pennet.mask_sets.files import digest

    made = layout.masks_dir(dataset)
    if not made.is_dir():
        return
    for name, own in config.masks.files.items():
        path = Path(own.archive)
        if name not in config.masks.protocols or not path.exists() or _newest(path) <= made.stat().st_mtime:
            continue
        found = digest(path, own.under)
        if found != own.sha256:
            yield f"masks.files.{name}: {path} holds other masks than {dataset} has; to take them in, sha256: {found}"


def _newest(path: Path) -> float:
    """When a file, or anything in a folder, was changed last."""
    return max(found.stat().st_mtime for found in (path, *(path.rglob("*") if path.is_dir() else ())))


def main() -> None:
    """Prints the lines; it is no failure that there are some, for all that was made is whole."""
    try:
        lines = changed(load_params())
    except (UserError, OSError) as error:
        sys.exit(f"sources: {error}")
    for line in lines or ["sources: as they were taken in"]:
        print(line, file=sys.stderr)


if __name__ == "__main__":
    main()
