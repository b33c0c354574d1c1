"""Turns a folder of photos into a data set: an archive with a manifest, split into training and test."""

from __future__ import annotations

import csv
import hashlib
import io
import zipfile
from pathlib import Path

from pennet.atomic import replacing
from pennet.data.manifest import COLUMNS, MANIFEST
from pennet.errors import UserError

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff")
_FIXED_TIME = (1980, 1, 1, 0, 0, 0)  # the same photos give the same bytes, whenever they are packed


def pack(photos: Path, archive: Path, test_ratio: float) -> tuple[int, int, str]:
    """Writes an archive that the download stage takes.

    A photo goes to the test split by its own checksum, so adding photos later moves no other one across; photos in one
    subfolder are taken for a group (the same scene, say) and stay together.

    Args:
        photos: a folder of pictures, searched with its subfolders.
        archive: the zip file to write.
        test_ratio: share of the groups that is kept for the test, in (0, 1).

    Returns:
        Numbers of training and test photos, and the archive's sha256.

    Raises:
        UserError: no photos, two files of one name, an unreadable one, or an empty split.
    """
    from pennet.data.images import read_rgb

    if not 0 < test_ratio < 1:
        raise UserError(f"test ratio {test_ratio}: must be between 0 and 1")
    if not photos.is_dir():
        raise UserError(f"{photos}: no such folder")
    files = sorted(path for path in photos.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file())
    if not files:
        raise UserError(f"{photos}: holds no photo ({', '.join(SUFFIXES)})")
    text, counts = io.StringIO(), {"train": 0, "test": 0}
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    with replacing(archive) as temporary:
        with zipfile.ZipFile(temporary, "w", zipfile.ZIP_STORED) as target:
            names: dict[str, Path] = {}
            for path in files:
                first = names.setdefault(path.stem, path)
                if first != path:
                    raise UserError(f"{first} and {path} share the name {path.stem!r}; rename one")
                content = path.read_bytes()
                read_rgb(io.BytesIO(content), str(path))
                checksum = hashlib.sha256(content).hexdigest()
                inside = path.relative_to(photos)
                group = inside.parent.as_posix() if inside.parent != Path() else checksum
                place = int(hashlib.sha256(group.encode()).hexdigest()[:8], 16) / 16**8
                split = "test" if place < test_ratio else "train"
                counts[split] += 1
                writer.writerow([f"images/{inside.as_posix()}", group, split, str(inside), checksum])
                target.writestr(zipfile.ZipInfo(f"images/{inside.as_posix()}", _FIXED_TIME), content)
            target.writestr(zipfile.ZipInfo(MANIFEST, _FIXED_TIME), text.getvalue())
        empty = [split for split, count in counts.items() if not count]
        if empty:
            raise UserError(
                f"{photos}: {len(files)} photo(s) leave the {' and '.join(empty)} split empty;"
                " add photos, split large subfolders or change the test ratio"
            )
        sha256 = hashlib.sha256(temporary.read_bytes()).hexdigest()
    return counts["train"], counts["test"], sha256
