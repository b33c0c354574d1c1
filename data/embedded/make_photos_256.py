"""Makes photos-256.zip from Debian packages of freely licensed photos, unpacked with `dpkg-deb -x`.

    apt-get download gcompris-qt-data lomiri-wallpapers-16.04 lomiri-wallpapers-20.04
    for package in *.deb; do dpkg-deb -x "$package" unpacked; done
    python data/embedded/make_photos_256.py unpacked data/embedded/photos-256.zip

Of each photo there are the whole, its centre square made smaller, and crops of other scales; a photo is a group, so that no
split shares it. Every photo's author and licence are in LICENSE.txt, as its package states them.
"""

from __future__ import annotations

import csv
import hashlib
import io
import re
import struct
import sys
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from PIL import Image

SIDE_PX = 256
JPEG_QUALITY = 85
CROPS = ((0.5, 0.5, 1.0), (0.0, 0.6, 2 / 3), (1.0, 0.4, 0.5), (0.4, 1.0, 0.4))
"""Across, down, and side: where a square lies, as shares of the room it has, and its side as a share of the shorter one."""
TEST_SHARE = 1 / 8
ACTIVITIES = ("explore_monuments", "explore_world_animals", "explore_farm_animals")
"""Of the learning game, those whose pictures are photos."""
LARGEST_PX = 1600
"""A wallpaper is made smaller first: at its full size a crop of 256 px shows nothing."""
DRAWN = ("Painting-Colors", "Infinite-Sea", "umang", "analogpattern")
"""Parts of names of pictures that are no photos."""
FREE = re.compile(r"CC0|CC[ -]BY(-SA)?[ -]\d|public domain", re.IGNORECASE)
ADDRESSES = {
    "CC0-1.0": "https://creativecommons.org/publicdomain/zero/1.0/",
    "CC-BY-4.0": "https://creativecommons.org/licenses/by/4.0/",
    "CC-BY-SA-3.0": "https://creativecommons.org/licenses/by-sa/3.0/",
    "CC-BY-SA-4.0": "https://creativecommons.org/licenses/by-sa/4.0/",
}


class Photo(NamedTuple):
    name: str
    """Where it lies: package and path."""
    author: str
    licence: str
    content: bytes


def resources(path: Path) -> Iterator[tuple[str, bytes]]:
    """The files of a Qt resource archive (.rcc) by their paths; its format is that of Qt's `rcc --binary`."""
    content = path.read_bytes()
    version, tree, data, names = struct.unpack(">4I", content[4:20])
    size = 22 if version > 1 else 14

    def walk(index: int, folder: str) -> Iterator[tuple[str, bytes]]:
        at = tree + index * size
        name_at, flags = struct.unpack(">IH", content[at : at + 6])
        length = struct.unpack(">H", content[names + name_at : names + name_at + 2])[0] if index else 0
        name = content[names + name_at + 6 : names + name_at + 6 + 2 * length].decode("utf-16-be")
        if flags & 2:  # a folder: how many children, and the first
            count, first = struct.unpack(">II", content[at + 6 : at + 14])
            for child in range(first, first + count):
                yield from walk(child, f"{folder}{name}/" if index else "")
            return
        start = data + struct.unpack(">I", content[at + 10 : at + 14])[0]
        file = content[start + 4 : start + 4 + struct.unpack(">I", content[start : start + 4])[0]]
        yield folder + name, zlib.decompress(file[4:]) if flags & 1 else file

    yield from walk(0, "")


def of_the_game(root: Path) -> Iterator[Photo]:
    """Photos of gcompris-qt-data: a README beside them says whose each is."""
    for activity in ACTIVITIES:
        files = dict(resources(root / f"usr/share/gcompris-qt/rcc/{activity}.rcc"))
        for readme in sorted(name for name in files if name.endswith("/README")):
            for block in re.split(r"\n\s*\n", files[readme].decode()):
                stated = dict(re.findall(r"^(Copyright|Licen[sc]e): *(.+)$", block, re.MULTILINE))
                for file in re.findall(r"^(\S+\.webp)$", block, re.MULTILINE):
                    name = f"{readme.removesuffix('README')}{file}"
                    if name in files:
                        where = name.split("/activities/")[-1].replace("/resource", "")
                        yield Photo(f"gcompris-qt-data/{where}", stated["Copyright"], stated["License"], files[name])


def of_wallpapers(root: Path) -> Iterator[Photo]:
    """Photos of lomiri-wallpapers-*: the package's copyright file says whose each is."""
    stated = (root / "usr/share/doc/lomiri-wallpapers-16.04/copyright").read_text()
    pattern = re.compile(r"^Files: *(\d\d\.\d\d)/(\S+\.jpg)\nCopyright: *(.+)\nLicense: *(\S+)$", re.MULTILINE)
    for version, file, author, licence in pattern.findall(stated):
        path = root / "usr/share/backgrounds" / file
        if path.is_file() and not file.startswith(DRAWN):
            yield Photo(f"lomiri-wallpapers-{version}/{file}", author, licence, path.read_bytes())


def crops(content: bytes) -> Iterator[Image.Image]:
    """The squares of a photo, SIDE_PX wide; none of fewer pixels than that."""
    photo = Image.open(io.BytesIO(content)).convert("RGB")
    photo.thumbnail((LARGEST_PX, LARGEST_PX), Image.Resampling.LANCZOS)
    for across, down, share in CROPS:
        side = round(min(photo.size) * share)
        if side >= SIDE_PX:
            left, top = round((photo.width - side) * across), round((photo.height - side) * down)
            square = photo.crop((left, top, left + side, top + side))
            yield square.resize((SIDE_PX, SIDE_PX), Image.Resampling.LANCZOS)


def licence_text(photos: list[Photo]) -> str:
    """What the archive's licence is, and whose every photo is."""
    lines = [
        "photos-256: squares of freely licensed photos, from Debian packages that state author and licence of each.",
        "",
        "Changes made: photos cropped to squares, resized to 256x256 (Lanczos), saved as JPEG of quality 85.",
        "Each square keeps its photo's licence; the collection is CC BY-SA 4.0.",
        *(f"{name}: {address}" for name, address in ADDRESSES.items()),
        "manifest.csv: file, group (the photo: never split between train and test), split, source (package and file), "
        "sha256.",
        "",
        "Photos, as package and file; author; licence:",
        *(f"{photo.name}; {photo.author}; {photo.licence}" for photo in photos),
    ]
    return "\n".join(lines) + "\n"


def main(root: Path, target: Path) -> None:
    found = [photo for photo in (*of_the_game(root), *of_wallpapers(root)) if FREE.search(photo.licence)]
    photos, rows = [], []
    with zipfile.ZipFile(target, "w") as archive:

        def add(name: str, content: bytes, kind: int) -> None:
            archive.writestr(zipfile.ZipInfo(name, (2026, 11, 30, 0, 0, 0)), content, kind)

        for photo in sorted(found):
            draw = int(hashlib.sha256(photo.name.encode()).hexdigest()[:8], 16) / 2**32
            squares = list(crops(photo.content))
            for square in squares:
                file, buffer = f"images/{len(rows):04d}.jpg", io.BytesIO()
                square.save(buffer, "JPEG", quality=JPEG_QUALITY)
                add(file, buffer.getvalue(), zipfile.ZIP_STORED)
                split = "test" if draw < TEST_SHARE else "train"
                rows.append((file, photo.name, split, photo.name, hashlib.sha256(buffer.getvalue()).hexdigest()))
            photos += [photo] * bool(squares)
        table = io.StringIO()
        csv.writer(table, lineterminator="\n").writerows([("file", "group", "split", "source", "sha256"), *rows])
        add("manifest.csv", table.getvalue().encode(), zipfile.ZIP_DEFLATED)
        add("LICENSE.txt", licence_text(photos).encode(), zipfile.ZIP_DEFLATED)
    print(f"{target}: {len(rows)} pictures of {len(photos)} photos, {target.stat().st_size:,} bytes")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: make_photos_256.py UNPACKED_PACKAGES ARCHIVE.zip")
    main(Path(sys.argv[1]), Path(sys.argv[2]))
