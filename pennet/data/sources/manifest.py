"""The list inside every archive: which picture belongs to which group and split, and its checksum."""

from __future__ import annotations

import csv
import errno
import io
import lzma
import zipfile
import zlib
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from pennet.data.sources.formats import HEAD_BYTES, compression, is_tar, picture_kind
from pennet.errors import UserError

MANIFEST = "manifest.csv"
COLUMNS = ("file", "group", "split", "source", "sha256")
SPLITS = ("train", "test")


@dataclass(frozen=True)
class Entry:
    file: str
    """Path inside the archive."""
    group: str
    """Pictures of a group look alike; a group is never in two splits."""
    split: str
    """`train` or `test`."""
    source: str
    """Where the picture was taken from."""
    sha256: str
    """Checksum of the file."""

    @property
    def name(self) -> str:
        return PurePosixPath(self.file).stem


def open_archive(path: Path) -> zipfile.ZipFile:
    """Opens a zip archive.

    Raises:
        UserError: missing, a folder, not readable, truncated or not a zip archive; names it.
    """
    if path.is_dir():
        raise UserError(f"{path}: is a folder; give an archive that `pennet pack` has made, or use data_set: folder")
    try:
        try:
            return zipfile.ZipFile(path, metadata_encoding="utf-8")  # many tools write it without zip's mark for it
        except UnicodeDecodeError:
            return zipfile.ZipFile(path)
    except FileNotFoundError as error:
        raise UserError(f"archive {path}: no such file; run the download stage") from error
    except zipfile.BadZipFile as error:
        with path.open("rb") as file:
            head = file.read(HEAD_BYTES)
        if kind := picture_kind(head):
            raise UserError(f"{path}: is a single picture ({kind}); give an archive that `pennet pack` has made") from error
        if is_tar(head) or compression(head):
            zipped = "give a zip archive, as `pennet pack` makes one, or use data_set: folder"
            raise UserError(f"{path}: is a tar or a compressed file; {zipped}") from error
        raise UserError(f"archive {path}: corrupt or truncated ({error}); remove it and download it again") from error
    except OSError as error:
        if error.errno == errno.EINVAL:  # an offset that cannot be
            raise UserError(f"archive {path}: corrupt or truncated ({error}); remove it and download it again") from error
        raise UserError(f"archive {path}: cannot be read ({error.strerror}); make it readable") from error
    except (NotImplementedError, EOFError, UnicodeDecodeError) as error:
        raise UserError(f"archive {path}: corrupt or truncated ({error}); remove it and download it again") from error


def read_member(archive: zipfile.ZipFile, name: str) -> bytes:
    """The content of one file of an archive.

    Raises:
        KeyError: there is none of this name.
        UserError: damaged, encrypted, or compressed in a way that Python does not know; names it.
    """
    try:
        return archive.read(name)
    except RuntimeError as error:  # encrypted; or, as a NotImplementedError, of an unknown compression
        raise UserError(f"{name}: cannot be unpacked ({error}); pack it stored or deflated, without a password") from error
    except (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, OSError, UnicodeDecodeError) as error:
        raise UserError(f"{name}: cannot be unpacked ({error}); download or pack the archive again") from error


def read_manifest(archive: zipfile.ZipFile) -> list[Entry]:
    """Reads and checks the archive's `manifest.csv`, in its own order.

    Raises:
        UserError: an unreadable list, missing columns, unknown splits, files that are listed twice, absent or outside the
            archive, names that would collide, groups in two splits; names the first few of each.
    """
    where = f"{archive.filename}:{MANIFEST}"
    try:
        text = read_member(archive, MANIFEST).decode("utf-8-sig")
    except KeyError as error:
        what = f"holds no {MANIFEST} (columns {', '.join(COLUMNS)})"
        raise UserError(f"archive {archive.filename}: {what}; use data_set: folder, or `pennet pack`") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{where}: not UTF-8 ({error}); save it as UTF-8 or download the archive again") from error
    except UserError as error:
        raise UserError(f"archive {archive.filename}: {error}") from error
    reader = csv.DictReader(io.StringIO(text))
    try:
        missing = [column for column in COLUMNS if column not in (reader.fieldnames or [])]
        if missing:
            raise UserError(f"{where}: lacks the column(s) {', '.join(missing)}")
        entries = [Entry(**{column: row[column] or "" for column in COLUMNS}) for row in reader]
    except csv.Error as error:
        raise UserError(f"{where}: no CSV near line {reader.line_num + 1} ({error}); repair its quotes") from error
    if not entries:
        raise UserError(f"{where}: lists no picture")

    present = set(archive.namelist())
    splits_of_group: dict[str, set[str]] = defaultdict(set)
    files_of_name: dict[str, list[str]] = defaultdict(list)
    for entry in entries:
        splits_of_group[entry.group].add(entry.split)
        files_of_name[entry.name].append(entry.file)
    complaints = {
        f"split is not one of {', '.join(SPLITS)}": [f"{e.file} ({e.split!r})" for e in entries if e.split not in SPLITS],
        "path leaves the archive": [
            e.file for e in entries if PurePosixPath(e.file).is_absolute() or ".." in PurePosixPath(e.file).parts
        ],
        "not in the archive": [e.file for e in entries if e.file not in present],
        "two files would share a name": [" and ".join(files) for files in files_of_name.values() if len(files) > 1],
        "group is in more than one split": [group for group, splits in splits_of_group.items() if len(splits) > 1],
    }
    problems = [
        f"{what}: {', '.join(items[:5])}{f' and {len(items) - 5} more' if len(items) > 5 else ''}"
        for what, items in complaints.items()
        if items
    ]
    if problems:
        raise UserError(f"{where}: " + "; ".join(problems))
    return entries
