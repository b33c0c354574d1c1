"""The archive that comes with the project, read as every other data set."""

import csv
import hashlib
import io
import shutil
import zipfile
from collections import Counter
from pathlib import Path

import pytest

from pennet.data.sets.terrain import ARCHIVE, SHA256, TERRAIN
from pennet.errors import UserError
from tests.project import ROOT


def test_the_embedded_archive_is_the_one_declared() -> None:
    content = (ROOT / ARCHIVE).read_bytes()
    assert hashlib.sha256(content).hexdigest() == SHA256
    assert [len(content)] == [archive.size_bytes for archive in TERRAIN.archives]


def test_its_pictures_have_the_manifests_groups_and_splits() -> None:
    items = list(TERRAIN.read([ROOT / ARCHIVE]).items())
    with zipfile.ZipFile(ROOT / ARCHIVE) as archive:
        rows = list(csv.DictReader(io.StringIO(archive.read("manifest.csv").decode())))
    assert [(item.key, item.group, item.split) for item in items] == [(r["file"], r["group"], r["split"]) for r in rows]
    assert len(items) == TERRAIN.num_images
    assert Counter(item.split for item in items) == dict(TERRAIN.splits)


def test_a_changed_picture_is_named(tmp_path: Path) -> None:
    copy = tmp_path / "changed.zip"
    with zipfile.ZipFile(ROOT / ARCHIVE) as old, zipfile.ZipFile(copy, "w") as new:
        for name in old.namelist():
            new.writestr(name, old.read(name) + (b"x" if name == "images/0003.jpg" else b""))
    with pytest.raises(UserError, match=r"changed\.zip: images/0003\.jpg: its sha256 is not the manifest's"):
        list(TERRAIN.read([copy]).items())


def test_one_archive_is_needed(tmp_path: Path) -> None:
    shutil.copy(ROOT / ARCHIVE, tmp_path / "a.zip")
    with pytest.raises(UserError, match="2 archives given; give one"):
        TERRAIN.read([ROOT / ARCHIVE, tmp_path / "a.zip"])
