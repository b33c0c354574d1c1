"""Turns a folder of photos into a data set: an archive with a manifest, split into training and test."""

from __future__ import annotations

import csv
import hashlib
import io
import zipfile
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

from pennet.atomic import replacing
from pennet.data.pictures.picture_files import SUFFIXES, read_rgb
from pennet.data.sets.folder import places_of
from pennet.data.sources.archives import name_refusal
from pennet.data.sources.manifest import COLUMNS, MANIFEST
from pennet.data.sources.search import look_through, shown
from pennet.errors import UserError

LONGEST_NAME_BYTES = 150
"""A name becomes that of files that add some letters to it; file systems take 255 bytes."""
_FIXED_TIME = (1980, 1, 1, 0, 0, 0)  # the same photos give the same bytes, whenever they are packed


class Packed(NamedTuple):
    num_train: int
    num_test: int
    sha256: str
    """Of the archive."""
    left_out: str
    """What else lies in the folder, counted and named; empty if nothing does."""


def pack(photos: Path, archive: Path, test_ratio: float) -> Packed:
    """Writes an archive that the download stage takes.

    A photo goes to the test split by its own checksum, so adding photos later moves no other one across; photos in one
    subfolder are taken for a group (the same scene, say) and stay together. Folders that are named after splits divide the
    photos instead, as in data set `folder`; validation is taken from training later, so its photos are training ones here.

    Args:
        photos: a folder of pictures, searched with its subfolders.
        archive: the zip file to write.
        test_ratio: share of the groups that is kept for the test, in (0, 1).

    Raises:
        UserError: no place for the archive, no photos, an empty split, photos beside the folders of splits, or photos that
            cannot be used, all of them named: unreadable ones, those of one name but for the suffix, and those whose names
            no data set takes (`name_refusal`).
    """
    if not 0 < test_ratio < 1:
        raise UserError(f"test ratio {test_ratio}: must be between 0 and 1")
    if archive.is_dir():
        raise UserError(f"{archive}: is a folder; name the zip file to write")
    found = look_through(photos)
    if not found.pictures:
        left = f"; left out: {found.left_out()}" if found.left_out() else ""
        raise UserError(f"{photos}: holds no photo ({', '.join(SUFFIXES)}){left}")
    refusals = {path: name_refusal(path.relative_to(photos).as_posix()) for path in found.pictures}
    problems = [f"{shown(path)}: {refusal}" for path, refusal in refusals.items() if refusal]
    pictures = [path for path, refusal in refusals.items() if not refusal]
    problems += _name_clashes(photos, pictures)
    of_folders = _of_folders(photos, pictures)
    text, counts = io.StringIO(), {"train": 0, "test": 0}
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    with replacing(archive) as temporary:
        with zipfile.ZipFile(temporary, "w", zipfile.ZIP_STORED) as target:
            for path in pictures:
                try:
                    content = path.read_bytes()
                    read_rgb(io.BytesIO(content), str(path))
                except (UserError, OSError) as error:
                    problems.append(str(error))
                    continue
                checksum = hashlib.sha256(content).hexdigest()
                source = path.relative_to(photos)
                file = f"images/{_name(source)}{path.suffix}"
                group, split = of_folders.get(source) or _hashed(source, checksum, test_ratio)
                counts[split] += 1
                writer.writerow([file, group, split, source.as_posix(), checksum])
                if not problems:
                    target.writestr(zipfile.ZipInfo(file, _FIXED_TIME), content)
            target.writestr(zipfile.ZipInfo(MANIFEST, _FIXED_TIME), text.getvalue())
        if problems:
            listed = "".join(f"\n  - {problem}" for problem in problems)
            raise UserError(f"{photos}: nothing was packed, because of{listed}")
        empty = [split for split, count in counts.items() if not count]
        if empty:
            raise UserError(
                f"{photos}: {len(found.pictures)} photo(s) leave the {' and '.join(empty)} split empty;"
                " add photos, split large subfolders or change the test ratio"
            )
        with temporary.open("rb") as file_of_zip:
            sha256 = hashlib.file_digest(file_of_zip, "sha256").hexdigest()
    return Packed(counts["train"], counts["test"], sha256, found.left_out())


def _of_folders(photos: Path, pictures: list[Path]) -> dict[Path, tuple[str, str]]:
    """Group and split of each photo, where the folders are named after splits; nothing where they are not."""
    try:
        places = places_of(path.relative_to(photos).as_posix() for path in pictures)
    except UserError as error:
        raise UserError(f"{photos}: {error}") from error
    tests = "test" if any(place.split == "test" for place in places.values()) else "val"
    return {
        Path(name): (place.group, "test" if place.split == tests else "train")
        for name, place in places.items()
        if place.split
    }


def _hashed(source: Path, checksum: str, test_ratio: float) -> tuple[str, str]:
    """Group and split of a photo, whatever others there are."""
    group = source.parent.as_posix() if source.parent != Path() else checksum
    place = int(hashlib.sha256(group.encode()).hexdigest()[:8], 16) / 16**8
    return group, "test" if place < test_ratio else "train"


def _name(source: Path) -> str:
    """A photo's name in the data set, from its path below the folder: `day1/IMG_0000.JPG` is `day1-IMG_0000`.

    It depends on no other photo, so those that come later rename none. What would be too long for a file name ends in a
    checksum of the path instead.
    """
    name = "-".join(source.with_suffix("").parts)
    if len(name.encode()) <= LONGEST_NAME_BYTES:
        return name
    ending = "-" + hashlib.sha256(source.as_posix().encode()).hexdigest()[:16]
    return name.encode()[: LONGEST_NAME_BYTES - len(ending)].decode(errors="ignore") + ending


def _name_clashes(photos: Path, files: list[Path]) -> list[str]:
    files_of_name: dict[str, list[str]] = defaultdict(list)
    for path in files:
        files_of_name[_name(path.relative_to(photos))].append(str(path))
    clashes = [(name, paths) for name, paths in files_of_name.items() if len(paths) > 1]
    return [f"{' and '.join(paths)} would both be named {name!r}; rename or remove one" for name, paths in clashes]
