import tarfile
import zipfile
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from PIL import Image

from pennet.data.sources.manifest import open_archive, read_manifest, read_member
from pennet.errors import UserError

HEADER = "file,group,split,source,sha256\n"


def archive(folder: Path, manifest: str | None, files: tuple[str, ...] = ("images/a.png", "images/b.png")) -> Path:
    path = folder / "set.zip"
    with zipfile.ZipFile(path, "w") as target:
        for name in files:
            target.writestr(name, b"picture")
        if manifest is not None:
            target.writestr("manifest.csv", manifest)
    return path


def read(path: Path):
    with open_archive(path) as opened:
        return read_manifest(opened)


def test_manifest_keeps_its_order_and_columns(tmp_path: Path) -> None:
    entries = read(archive(tmp_path, HEADER + "images/b.png,g2,test,there,22\nimages/a.png,g1,train,here,11\n"))
    assert [(e.name, e.group, e.split, e.source, e.sha256) for e in entries] == [
        ("b", "g2", "test", "there", "22"),
        ("a", "g1", "train", "here", "11"),
    ]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("images/a.png,g,train,s,1\nimages/b.png,g,test,s,2\n", "group is in more than one split: g"),
        ("images/a.png,g,dev,s,1\n", r"split is not one of train, test: images/a\.png \('dev'\)"),
        ("images/c.png,g,train,s,1\n", r"not in the archive: images/c\.png"),
        ("../a.png,g,train,s,1\n", r"path leaves the archive: \.\./a\.png"),
        ("images/a.png,g,train,s,1\nimages/a.png,g,train,s,1\n", r"two files would share a name: images/a\.png and"),
        ("", "lists no picture"),
    ],
)
def test_manifest_names_what_is_wrong(tmp_path: Path, rows: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read(archive(tmp_path, HEADER + rows))


def test_manifest_may_not_be_missing_or_lack_a_column(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"set\.zip: holds no manifest\.csv \(columns file, group"):
        read(archive(tmp_path, None))
    with pytest.raises(ValueError, match=r"lacks the column\(s\) group, sha256"):
        read(archive(tmp_path, "file,split,source\nimages/a.png,train,s\n"))


@pytest.mark.parametrize("encoding", ["utf-8", "cp437"])
def test_names_are_read_that_a_tool_wrote_without_zips_mark_for_utf_8(tmp_path: Path, encoding: str) -> None:
    """As Info-ZIP and macOS do; and those of Windows, in the encoding that zip has had before."""
    name = "images/é.png".encode(encoding)
    plain = b"x" * len(name)  # which gets no mark
    path = archive(tmp_path, HEADER + "images/é.png,g,train,s,1\n", (plain.decode(),))
    path.write_bytes(path.read_bytes().replace(plain, name))
    with open_archive(path) as opened:
        assert [read_member(opened, entry.file) for entry in read_manifest(opened)] == [b"picture"]


@pytest.mark.parametrize("keep", [0, 10, 0.5])
def test_a_truncated_archive_is_named(tmp_path: Path, keep: float) -> None:
    path = archive(tmp_path, HEADER + "images/a.png,g,train,s,1\n")
    content = path.read_bytes()
    path.write_bytes(content[: int(keep if keep > 1 else keep * len(content))])
    with pytest.raises(ValueError, match=r"set\.zip: corrupt or truncated .*; remove it and download it again"):
        read(path)


def test_a_single_picture_is_said_to_be_one(tmp_path: Path) -> None:
    Image.new("RGB", (40, 30)).save(tmp_path / "a.png")
    with pytest.raises(UserError, match=r"a\.png: is a single picture \(PNG\); give an archive that `pennet pack` has made"):
        open_archive(tmp_path / "a.png")


@pytest.mark.parametrize("mode", ["w", "w:gz"])
def test_a_tar_is_said_to_be_one_and_not_to_be_removed(tmp_path: Path, mode: Literal["w", "w:gz"]) -> None:
    Image.new("RGB", (40, 30)).save(tmp_path / "a.png")
    with tarfile.open(tmp_path / "photos.tar", mode) as target:
        target.add(tmp_path / "a.png", "a.png")
    with pytest.raises(UserError, match=r"photos\.tar: is a tar or a compressed file; give a zip .* data_set: folder"):
        open_archive(tmp_path / "photos.tar")


def spoil(path: Path, at: int, central_at: int, value: int) -> Path:
    """Sets a byte in the local header of the first member, `images/a.png`, and its twin in the central directory."""
    content = bytearray(path.read_bytes())
    content[at] = value
    content[content.index(b"PK\x01\x02") + central_at] = value
    path.write_bytes(content)
    return path


def test_encrypted_or_strangely_compressed_member_is_named(tmp_path: Path) -> None:
    for at, central_at, value in ((6, 8, 1), (8, 10, 99)):  # flag of encryption; unknown method
        with (
            open_archive(spoil(archive(tmp_path, HEADER), at, central_at, value)) as opened,
            pytest.raises(ValueError, match=r"images/a\.png: cannot be unpacked \(.*stored or deflated, without a password"),
        ):
            read_member(opened, "images/a.png")
    damaged = archive(tmp_path, HEADER)
    damaged.write_bytes(damaged.read_bytes().replace(b"picture", b"pixture", 1))
    with open_archive(damaged) as opened, pytest.raises(ValueError, match=r"images/a\.png: cannot be unpacked \(Bad CRC-32"):
        read_member(opened, "images/a.png")


def test_encrypted_manifest_is_named(tmp_path: Path) -> None:
    path = spoil(archive(tmp_path, HEADER, files=()), 6, 8, 1)
    with pytest.raises(ValueError, match=r"set\.zip: manifest\.csv: cannot be unpacked"):
        read(path)


@pytest.mark.parametrize("rows", ["images/a.png,{long},train,s,1\n", "{long}\n"])
def test_field_of_endless_length_is_refused_by_name(tmp_path: Path, rows: str) -> None:
    with pytest.raises(ValueError, match=r"manifest\.csv: no CSV near line 2 \(field larger than field limit"):
        read(archive(tmp_path, HEADER + rows.format(long="x" * 140_000)))
    with pytest.raises(ValueError, match=r"manifest\.csv: no CSV near line 1 \(field larger than field limit"):
        read(archive(tmp_path, "x" * 140_000 + "\n"))


def test_manifest_of_another_encoding_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "set.zip"
    with zipfile.ZipFile(path, "w") as target:
        target.writestr("manifest.csv", HEADER.encode("utf-16"))
    with pytest.raises(ValueError, match=r"manifest\.csv: not UTF-8"):
        read(path)


def test_damaged_archive_is_read_or_refused_by_name(tmp_path: Path) -> None:
    """Whatever a damaged archive makes Python's zipfile stumble over, there is no traceback."""
    generator, refused = np.random.default_rng(0), 0
    path = archive(tmp_path, HEADER + "images/é.png,g,train,s,1\n", ("images/é.png",))
    whole = path.read_bytes()
    for _ in range(1500):
        content = bytearray(whole)
        for place in generator.integers(0, len(content), 3):
            content[place] = generator.integers(256)
        path.write_bytes(content)
        try:
            with open_archive(path) as opened:
                for entry in read_manifest(opened):
                    read_member(opened, entry.file)
        except UserError as error:
            assert "set.zip" in str(error) or "images/é.png" in str(error)
            refused += 1
    assert refused > 100
