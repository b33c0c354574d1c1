"""What is broken, and what is no archive."""

import bz2
import errno
import gzip
import os
import random
import tarfile
import zipfile
from pathlib import Path
from typing import IO

import pytest
from PIL import Image

from pennet.data.sources.archives import members, stream
from pennet.errors import UserError
from tests.data.archive_samples import BLOCK, OTHERS, block, given, refused, shell, tar, write, zipped

zstandard = pytest.importorskip("zstandard")


def packed(tmp_path: Path, kind: str, files: dict[str, bytes]) -> Path:
    """A small archive of some format."""
    path = tmp_path / f"set.{kind}"
    if kind == "zip":
        return zipped(path, *files.items())
    content = tar(path, *files.items()).read_bytes()
    if kind == "zstd":
        path.write_bytes(zstandard.ZstdCompressor(write_checksum=True).compress(content))
    elif kind != "tar":
        with OTHERS[kind](path, "wb") as file:
            file.write(content)
    return path


RANDOM = random.Random(0)
SMALL = {"good.jpg": b"good", "a/b.jpg": RANDOM.randbytes(700), "c.jpg": b"last"}


@pytest.mark.parametrize("kind", ["zip", "tar", "gzip", "bzip2", "xz", "zstd"])
def test_archive_cut_anywhere_gives_what_is_whole_and_one_error(tmp_path: Path, kind: str) -> None:
    path = packed(tmp_path, kind, SMALL)
    whole = path.read_bytes()
    silent = []
    for length in range(1, len(whole), 97 if kind == "tar" else 7):
        path.write_bytes(whole[:length])
        found, error = given(path)
        assert found.items() <= SMALL.items() and list(found) == list(SMALL)[: len(found)]
        if error is None:
            silent.append(length)
            assert found == SMALL  # what was cut off is padding
        else:
            assert str(error).startswith(f"{path}: damaged or cut short") or "no zip or tar archive" in str(error)
            if found:
                assert f"the last good member is {list(found)[-1]!r}; bring it here again, or pack it again" in str(error)
    if kind == "tar":
        assert min(silent) > 5 * BLOCK + 1024
    elif kind == "zstd":
        assert all(length > len(whole) - 20 for length in silent)
    else:
        assert not silent


@pytest.mark.parametrize("kind", ["zip", "gzip", "bzip2", "xz", "zstd"])
def test_archive_with_any_byte_changed_gives_the_same_or_an_error(tmp_path: Path, kind: str) -> None:
    path = packed(tmp_path, kind, SMALL)
    whole = path.read_bytes()
    errors = 0
    for place in range(0, len(whole), 3):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :])
        found, error = given(path)
        assert error is not None or found == SMALL
        errors += error is not None
    assert errors > len(whole) / 3 / 2


def test_broken_header_inside_a_tar_is_not_its_end(tmp_path: Path) -> None:
    path = tar(tmp_path / "a.tar", *SMALL.items())
    whole = path.read_bytes()
    for place in (2 * BLOCK, 2 * BLOCK + 124, 2 * BLOCK + 150):
        path.write_bytes(whole[:place] + b"\xee" + whole[place + 1 :])
        refused(
            path, r"a\.tar: damaged or cut short \(.+\); the last good member is 'good\.jpg'; bring it here again, or pack"
        )


@pytest.mark.parametrize("kind", ["tar", "gzip", "zstd"])
def test_member_that_is_cut_is_not_called_good_though_it_is_skipped(tmp_path: Path, kind: str) -> None:
    files = {name: RANDOM.randbytes(300_000) for name in ("a.jpg", "b.txt", "c.jpg")}
    path = packed(tmp_path, kind, files)
    path.write_bytes(path.read_bytes()[:450_000])
    refused(path, r"cut short in 'b\.txt' \(.*the last good member is 'a\.jpg'")
    refused(path, r"cut short in 'b\.txt' \(.*the last good member is 'a\.jpg'", lambda name: name.endswith(".jpg"))


def test_random_bytes_end_in_errors_that_name_the_archive(tmp_path: Path) -> None:
    random_bytes = random.Random(1)
    for kind in ("zip", "tar", "gzip"):
        path = packed(tmp_path, kind, SMALL)
        whole = path.read_bytes()
        for _ in range(150):
            content = bytearray(whole)
            for _ in range(random_bytes.randint(1, 8)):
                content[random_bytes.randrange(len(content))] = random_bytes.choice(b"\0\x01-7xLKSg\x7f\x80\xff")
            path.write_bytes(content)
            found, error = given(path)
            assert error is None or str(error).startswith(str(path))
            assert len(found) <= len(SMALL) + 1


@pytest.mark.parametrize(
    ("blocks", "message"),
    [
        ([block("x", tarfile.XHDTYPE, 30, b"30 size=-1024".ljust(29) + b"\n")], "a size of -1024"),
        ([block("x", tarfile.XHDTYPE, 1 << 40)], "a header of 1,099,511,627,776 bytes"),
        ([block("x", tarfile.GNUTYPE_LONGNAME, -512)], "a header of -512 bytes"),
        ([block("x", tarfile.XHDTYPE, 1 << 20, b"1" * (1 << 20))], "a broken header"),
        ([block("x", tarfile.XHDTYPE, 9, b"0 path=a\n")], "a broken header"),
        ([block("x", tarfile.XHDTYPE, 9, b"99 path=a")], "a broken header"),
        ([block("x", tarfile.XHDTYPE, 12, b"12 size=abc\n")], "invalid literal"),
        ([block("x", b"0", -512)], "a size of -512"),
        ([block("x", tarfile.GNUTYPE_LONGNAME, 5, b"a.jpg")] * 5000, r"\(.+\); no member before it is good"),
    ],
    ids=["negative", "huge", "negative-note", "digits", "zero", "beyond", "words", "negative-size", "chain"],
)
def test_notes_in_a_tar_are_not_trusted(tmp_path: Path, blocks: list[bytes], message: str) -> None:
    """Each of them keeps a known version of `tarfile` busy for ever, or fills the memory."""
    path = tmp_path / "evil.tar"
    path.write_bytes(b"".join(blocks) + (b"" if len(blocks) > 1 else block("a.jpg", b"0", 1, b"1") + bytes(2 * BLOCK)))
    refused(path, message)


def test_joined_tars_are_told_from_padding(tmp_path: Path) -> None:
    one, other = tar(tmp_path / "a.tar", ("a.jpg", b"1")), tar(tmp_path / "b.tar", ("b.jpg", b"2"))
    joined = tmp_path / "joined.tar"
    joined.write_bytes(one.read_bytes() + other.read_bytes())
    refused(joined, r"more follows tar's end mark.*--ignore-zeros\); the last good member is 'a\.jpg'")
    joined.write_bytes(one.read_bytes() + bytes(70 << 20))
    refused(joined, "nothing but zeros follow tar's end mark")


def test_sparse_files_are_refused_if_wanted(tmp_path: Path) -> None:
    folder = write(tmp_path / "set", {"a.jpg": b"1", "z.jpg": b"2"})
    with (folder / "holes.bmp").open("wb") as file:
        for place in range(40):  # more pieces than the header has place for
            file.seek(place * 100_000)
            file.write(b"piece")
    for options in ("--format=gnu", "--format=pax --sparse-version=0.0", "--format=pax --sparse-version=1.0"):
        path = shell(f"tar {options} -Scf {{out}} a.jpg holes.bmp z.jpg", folder, tmp_path / "a.tar")
        refused(path, r"member 'holes\.bmp' is stored without its zeros; pack it again without --sparse")
        assert [content for _, content in stream(path, lambda name: name.endswith(".jpg"))] == [b"1", b"2"]


def test_encrypted_members_are_refused_if_wanted(folder: Path, tmp_path: Path) -> None:
    path = shell("zip -qr -P secret {out} .", folder, tmp_path / "a.zip")
    refused(path, r"a\.zip: member 'a/one\.jpg' is encrypted; pack it again without a password", lambda name: "one" in name)
    assert list(members(path, lambda name: False)) == []


@pytest.mark.parametrize(("method", "number"), [(zipfile.ZIP_BZIP2, 12), (zipfile.ZIP_LZMA, 14)])
def test_other_compressions_of_zip_are_refused_if_wanted(tmp_path: Path, method: int, number: int) -> None:
    path = zipped(tmp_path / "a.zip", ("a.jpg", b"1" * 100), method=method)
    refused(path, rf"member 'a\.jpg' is compressed by zip's method {number}; pack it again, stored or deflated")


# What is no archive


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "begins with nothing"),
        (bytes(10240), "begins with zeros, as a download that wrote nothing or an empty tar archive"),
        (b"\n<!DOCTYPE HTML><title>404", "begins with an HTML page, a server's message in place of the file"),
        (b"\xef\xbb\xbf<html>", "begins with an HTML page"),
        (b"<?xml version='1.0'?><Error>", "begins with XML"),
        (b"version https://git-lfs.github.com/spec/v1\noid", "begins with a pointer of Git LFS"),
        (b"Rar!\x1a\x07\x00", "begins with a RAR archive"),
        (b"7z\xbc\xaf\x27\x1c", "begins with a 7-Zip archive"),
        (b"{'error': 1}" * 100, r"begins with b\"\{'error': 1\}\{'er\""),
        (gzip.compress(b"<html>", mtime=0), "unpacked by gzip it begins with an HTML page"),
        (bz2.compress(b"\x89PNG"), "unpacked by bzip2 it begins with a PNG picture"),
        (gzip.compress(gzip.compress(b"x" * 600, mtime=0), mtime=0), r"unpacked by gzip it begins with b'\\x1f\\x8b"),
    ],
    ids=[
        "empty",
        "zeros",
        "page",
        "page-with-bom",
        "xml",
        "pointer",
        "rar",
        "7z",
        "json",
        "page-in-gzip",
        "png-in-bzip2",
        "gzip-in-gzip",
    ],
)
def test_what_is_no_archive_is_said_by_its_beginning(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "set.zip"
    path.write_bytes(content)
    refused(path, rf"set\.zip: no zip or tar archive, for .*{message}.*; download it again, or unpack it yourself and give")


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "BMP", "TIFF", "WebP", "AVIF"])
def test_a_single_picture_is_said_to_be_one(tmp_path: Path, kind: str) -> None:
    Image.new("RGB", (40, 30)).save(tmp_path / "a.zip", kind)
    refused(tmp_path / "a.zip", rf"a\.zip: is a single picture \({kind}\); give its folder, or an archive of pictures")


def test_empty_zip_holds_nothing(tmp_path: Path) -> None:
    assert given(zipped(tmp_path / "a.zip")) == ({}, None)


def test_missing_file_is_named(tmp_path: Path) -> None:
    refused(tmp_path / "none.tar", r"none\.tar: no such file or folder")
    os.mkfifo(tmp_path / "pipe")
    refused(tmp_path / "pipe", "pipe: no such file or folder")


def test_missing_package_is_named_with_its_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = packed(tmp_path, "zstd", SMALL)
    monkeypatch.setattr("importlib.util.find_spec", lambda module: None)
    with pytest.raises(UserError, match=r'zstandard: not installed; pip install "pennet\[data\]"'):
        list(stream(path))


def test_what_the_disk_refuses_is_no_damage(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, original = tar(tmp_path / "a.tar", ("a.jpg", b"1")), Path.open

    def refuse(self: Path, mode: str = "r") -> IO[bytes]:  # as without the right to read it, which root always has
        if self.name in ("one.jpg", "a.tar"):
            raise PermissionError(errno.EACCES, "Permission denied", str(self))
        return original(self, mode)

    monkeypatch.setattr(Path, "open", refuse)
    for place, name in ((folder, "one"), (path, "a")):
        with pytest.raises(PermissionError, match=rf"Permission denied: '.*{name}\.(jpg|tar)'"):
            list(stream(place))
