"""What somebody's folder or archive of pictures is like, as far as names and headers tell; no picture is decoded."""

from __future__ import annotations

import io
import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO

import numpy as np
from tqdm import tqdm

from pennet.data.commands.entry import Entry
from pennet.data.pictures.picture_files import size_px
from pennet.data.sets.card import bytes_text
from pennet.data.sets.folder import FOLDER, places_of
from pennet.data.sets.spec import Place, Source, is_picture
from pennet.data.sets.splits import assign
from pennet.data.sources import archives
from pennet.data.sources.archive_entries import NO_FILE
from pennet.data.sources.manifest import COLUMNS, MANIFEST
from pennet.data.sources.search import Found, is_utf_8, look_through, masks_beside, shown
from pennet.errors import UserError

SIZES_PX = (64, 128, 256)
"""Sides that every method takes; the last is the paper's."""
SMALLEST_PX, STEP_PX = 32, 8
"""What the networks of the quick profile take: from this side on, in such steps."""
LARGE_ENOUGH = 0.95
"""Share of the pictures that have at least the suggested size."""


@dataclass(frozen=True)
class Survey:
    """What data set `folder` would find."""

    path: Path
    places: dict[str, Place]
    """Of all pictures, by name."""
    sides_px: dict[str, tuple[int, int]]
    """Width and height, the right side up, of the pictures whose headers can be read, by name."""
    num_bytes: int
    """Of the pictures."""
    left_out: str
    """What is no picture, counted and named; empty if nothing is."""
    problems: list[str]
    """All that has to be mended before every picture can be used, each with its file."""

    def suggested_px(self) -> int:
        """The largest of `SIZES_PX` that nearly all pictures have; below them the largest that the networks take."""
        smaller = np.array([min(sides) for sides in self.sides_px.values()])
        sizes = (*range(SMALLEST_PX, SIZES_PX[0], STEP_PX), *SIZES_PX)
        fitting = [size for size in sizes if len(smaller) and (smaller >= size).mean() >= LARGE_ENOUGH]
        return max(fitting, default=SIZES_PX[0])

    def too_small(self, image_size_px: int) -> dict[str, tuple[int, int]]:
        """Width and height of the pictures that hold no square of a side."""
        return {name: sides for name, sides in self.sides_px.items() if min(sides) < image_size_px}


def survey(path: Path) -> Survey:
    """Looks at every name and header; an archive is read as a whole, a folder is not.

    Args:
        path: a folder, which is searched with its subfolders, or an archive.

    Raises:
        UserError: it holds no picture, is neither, or is damaged.
    """
    found = look_through(path) if path.is_dir() else Found()
    files = _of_folder(path, found) if path.is_dir() else _of_archive(path, found)
    problems = [f"{shown(path / name)}: is a link, which is not followed; put {what}" for name, what in _links(path, found)]
    problems += [f"{shown(name)}: {NO_FILE}" for name in found.devices if is_picture(name.name)]
    closed = "may not be read, which stops the stages; make it readable, or give a folder without it"
    problems += [f"{shown(name)}: {closed}" for name in found.closed]
    names, sides, sizes = list[str](), dict[str, tuple[int, int]](), dict[str, int]()
    for name, file, num_bytes in files:
        if refusal := archives.name_refusal(name):
            problems.append(f"{shown(path / name)}: {refusal}")
        if not is_utf_8(Path(name)):
            continue
        names.append(name)
        sizes[name] = num_bytes
        try:
            sides[name] = size_px(file, name)
        except (UserError, OSError) as error:
            problems.append(str(error))
    places = places_of(names)
    if not path.is_dir():
        found.masks.extend(map(Path, masks_beside(map(PurePosixPath, names))))
    if not places:
        raise UserError(f"{shown(path)}: holds no picture; left out: {found.left_out() or 'nothing'}; give photos")
    problems += [f"{' and '.join(same)}: are one name in two spellings; remove one" for same in _clashes(places)]
    sides = {name: size for name, size in sides.items() if name in places}
    return Survey(path, places, sides, sum(sizes[name] for name in places), found.left_out(), problems)


def is_packed(path: Path) -> bool:
    """Whether an archive has a manifest, as `pennet pack` writes one: then the splits are its own.

    Others call their lists `manifest.csv`, too, with columns of their own.
    """
    if not path.is_file():
        return False
    _, content = next(archives.stream(path, MANIFEST.__eq__), (None, b""))
    columns = content.decode("utf-8-sig", "replace").partition("\n")[0].split(",")
    return set(COLUMNS) <= {column.strip('" \r') for column in columns}


def describe(found: Survey, entry: Entry) -> Iterator[str]:
    """Lines for a person: what there is, how it would be divided, what is wrong, and what to do about it.

    Args:
        found: what `survey` gives.
        entry: how it is to be divided, and at which size prepared.
    """
    groups = Counter(place.group for place in found.places.values())
    yield f"{shown(found.path)}: {len(found.places):,} pictures, {bytes_text(found.num_bytes)}"
    if found.left_out:
        yield f"left out: {found.left_out}"
    if found.sides_px:
        low, middle, high = np.percentile([min(sides) for sides in found.sides_px.values()], [0, 50, 100], method="lower")
        yield f"smaller side: {low:,} to {high:,} px, half of them up to {middle:,} px"
    if max(groups.values()) > 1:
        name, largest = groups.most_common(1)[0]
        yield f"{len(groups):,} groups: pictures of one subfolder stay in one split; the largest has {largest:,} ({name})"
    own_split = "the folders' own" if any(place.split for place in found.places.values()) else ""
    source = Source(found.places, lambda: iter(()), own_split)
    try:
        split = assign(FOLDER, source, None, seed=0, test_ratio=entry.test_ratio, val_ratio=entry.val_ratio)
    except UserError as error:
        yield f"split: not yet possible: {error}"
    else:
        yield f"split: {split.origin}: {', '.join(f'{count:,} {part}' for part, count in split.counts().items())}"
    yield from _to_mend(found, entry.image_size_px or SIZES_PX[0])


def _to_mend(found: Survey, image_size_px: int) -> Iterator[str]:
    if found.problems:
        yield f"{len(found.problems):,} cannot be used; repair, rename or remove them:"
        yield from (f"  - {problem}" for problem in found.problems)
    small = found.too_small(image_size_px)
    if small:
        smallest, share = min(map(min, small.values())), (len(small) + len(found.problems)) / len(found.places)
        ratio = math.ceil(100 * share) / 100
        leave_out = (
            f", or let stage prepare leave them out and list them (`max_rejected_ratio: {ratio:g}` beside `image_size_px`)"
        )
        yield (
            f"{len(small):,} are smaller than {image_size_px} px (the smallest has {smallest} px); bring them larger, remove"
            f" them, or choose another --size-px{leave_out if ratio < 1 else ''}:"
        )
        yield from (f"  - {name} ({width}x{height} px)" for name, (width, height) in small.items())


Files = Iterable[tuple[str, Path | BinaryIO, int]]
"""Name, the file, its size in bytes."""


def _of_folder(folder: Path, found: Found) -> Files:
    return [
        (path.relative_to(folder).as_posix(), path, path.stat().st_size)
        for path in tqdm(found.pictures, desc=f"look at {folder.name}", unit="image", delay=1)
    ]


def _of_archive(path: Path, found: Found) -> Files:
    def wanted(name: str) -> bool:
        if not is_picture(name):
            found.others.append(Path(name))
        return is_picture(name)

    for member, content in tqdm(archives.stream(path, wanted), desc=f"look at {path.name}", unit="image", delay=1):
        yield member.name, io.BytesIO(content), member.size


def _links(folder: Path, found: Found) -> Iterator[tuple[Path, str]]:
    """What data set `folder` refuses; see `pennet.data.sources.archives`."""
    for path in [*found.pictures, *found.links]:
        if path.is_symlink() and (path.is_dir() or is_picture(path.name)):
            yield path.relative_to(folder), "the folder itself there" if path.is_dir() else "the file itself there"


def _clashes(places: dict[str, Place]) -> list[list[str]]:
    names_of: dict[str, list[str]] = defaultdict(list)
    for name, place in places.items():
        names_of[place.key].append(name)
    return [names for names in names_of.values() if len(names) > 1]
