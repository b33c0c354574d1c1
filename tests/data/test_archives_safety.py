"""What is evil in an archive, or would be: names that lead outside, links, bombs, lies."""

import os
import re
import struct
import tarfile
import tracemalloc
import zipfile
from pathlib import Path

import pytest

from pennet.data.sources import archives
from pennet.data.sources.archives import members, stream
from pennet.errors import UserError
from tests.data.archive_samples import (
    BLOCK,
    FILES,
    OTHERS,
    block,
    given,
    raw_tar,
    refused,
    shell,
    special,
    tar,
    write,
    zipped,
)

zstandard = pytest.importorskip("zstandard")


@pytest.mark.parametrize("wanted", [True, False])
@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("../a.jpg", r"leads outside \(\.\.\)"),
        ("a/../../b.jpg", r"leads outside \(\.\.\)"),
        ("a/..", r"leads outside \(\.\.\)"),
        ("../.hidden", r"leads outside \(\.\.\)"),
        ("/etc/passwd", "has an absolute path"),
        ("//server/a.jpg", "has an absolute path"),
        ("C:/a.jpg", "has an absolute path"),
        ("c:a.jpg", "has an absolute path"),
        ("a\\b.jpg", "has a backslash in its path"),
        ("..\\b.jpg", "has a backslash in its path"),
    ],
)
def test_names_that_lead_outside_are_refused_wanted_or_not(tmp_path: Path, name: str, message: str, wanted: bool) -> None:
    files = [("good.jpg", b"1"), (name, b"2")]
    for path in (tar(tmp_path / "a.tar", *files), zipped(tmp_path / "a.zip", *files)):
        error = refused(
            path, f"member {re.escape(repr(name))} {message}.*; take the archive from a source", lambda _: wanted
        )
        assert "good.jpg" not in str(error)
    folder_in_tar = tar(tmp_path / "a.tar", special(name, tarfile.DIRTYPE))
    refused(folder_in_tar, message, lambda _: wanted)


def test_name_in_a_note_before_the_member_is_no_way_around(tmp_path: Path) -> None:
    record = b"20 path=../evil.jpg\n"
    for note in (block("x", tarfile.XHDTYPE, 20, record), block("x", tarfile.GNUTYPE_LONGNAME, 11, b"../evil.jpg")):
        refused(raw_tar(tmp_path / "a.tar", note, block("good.jpg", b"0", 1, b"1")), r"'\.\./evil\.jpg' leads outside")


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (tarfile.SYMTYPE, "is a link, which is not followed; put the file itself there"),
        (tarfile.LNKTYPE, "is a link, which is not followed; put the file itself there"),
        (tarfile.CHRTYPE, "is a device or a pipe, no file"),
        (tarfile.BLKTYPE, "is a device or a pipe, no file"),
        (tarfile.FIFOTYPE, "is a device or a pipe, no file"),
        (b"Z", r"is of a type that is not known \(b'Z'\)"),
    ],
)
def test_what_is_no_file_in_a_tar_is_refused_if_wanted(tmp_path: Path, kind: bytes, message: str) -> None:
    path = tar(tmp_path / "a.tar", ("a.jpg", b"1"), special("evil.jpg", kind, "/etc/passwd"), ("b.jpg", b"2"))
    refused(path, f"member 'evil.jpg' {message}")
    assert [member.name for member, _ in stream(path, lambda name: name != "evil.jpg")] == ["a.jpg", "b.jpg"]


def test_links_and_pipes_that_tools_pack_are_refused_if_wanted(tmp_path: Path) -> None:
    folder = write(tmp_path / "set", {"a.jpg": b"1"})
    (folder / "b.jpg").symlink_to("a.jpg")
    (folder / "c.jpg").hardlink_to(folder / "a.jpg")
    os.mkfifo(folder / "d.jpg")
    packed = shell("tar -cf {out} a.jpg b.jpg c.jpg d.jpg", folder, tmp_path / "a.tar")
    in_zip = shell("zip -qy {out} a.jpg b.jpg", folder, tmp_path / "a.zip")
    for path in (packed, in_zip, folder):
        assert [content for _, content in stream(path, lambda name: name == "a.jpg")] == [b"1"]
        refused(path, r"member 'b\.jpg' is a link", lambda name: name == "b.jpg")
    refused(packed, r"member 'c\.jpg' is a link", lambda name: name == "c.jpg")
    assert [content for _, content in stream(folder, lambda name: name == "c.jpg")] == [b"1"]
    for path in (packed, folder):
        refused(path, r"member 'd\.jpg' is a device or a pipe", lambda name: name == "d.jpg")


def test_linked_folder_in_a_folder_is_refused_wanted_or_not(folder: Path) -> None:
    (folder / "more").symlink_to(folder / "a")
    refused(folder, r"set/more: is a linked folder, which is not entered; put the folder itself there", lambda name: False)
    (folder / "more").unlink()
    (folder / ".cache").symlink_to(folder)
    assert given(folder) == (FILES, None)


def test_name_that_is_there_twice_is_refused_if_wanted(tmp_path: Path) -> None:
    files = [("a/b.jpg", b"1"), *((f"{i}.txt", b"") for i in range(2000)), ("./a//b.jpg", b"2")]
    for path in (tar(tmp_path / "a.tar", *files), zipped(tmp_path / "a.zip", *files)):
        refused(path, r"member 'a/b\.jpg' is there twice; remove one")
        assert sum(1 for _ in members(path, lambda name: name.endswith(".txt"))) == 2000


@pytest.mark.parametrize("number", [2, 22])
def test_all_that_cannot_be_taken_is_named_at_once_after_the_rest(tmp_path: Path, number: int) -> None:
    names = [f"C:{n}.jpg" for n in range(number - 1)]
    for name in ("a.jpg", "z.jpg", *names):
        (tmp_path / name).write_bytes(b"picture")
    (tmp_path / "link.jpg").symlink_to("a.jpg")
    given = []
    with pytest.raises(UserError) as raised:
        given.extend(member.name for member, _ in stream(tmp_path))
    assert given == ["a.jpg", "z.jpg"]
    said = str(raised.value)
    assert f"{number} members cannot be taken" in said and ("and 2 more" in said) == (number > 20)
    assert "member 'C:0.jpg' begins like a drive" in said
    assert ("member 'link.jpg' is a link" in said) == (number <= 20)


def test_names_that_are_no_text_are_refused_if_wanted(tmp_path: Path) -> None:
    odd = os.fsdecode(b"gr\xfc\xdfe.jpg")
    folder = write(tmp_path / "set", {"a.jpg": b"1", odd: b"2"})
    packed = shell("tar -cf {out} *", folder, tmp_path / "a.tar")
    as_pax = shell("tar --format=pax -cf {out} *", folder, tmp_path / "pax.tar")
    in_zip = zipped(tmp_path / "a.zip", ("a.jpg", b"1"), ("grxye.jpg", b"2"))
    in_zip.write_bytes(in_zip.read_bytes().replace(b"grxye", b"gr\xfc\xdfe"))
    for path in (folder, packed, as_pax, in_zip):
        refused(path, r"member 'gr\\udcfc\\udcdfe\.jpg' has a name that is no UTF-8; rename it")
        assert [content for _, content in stream(path, lambda name: name == "a.jpg")] == [b"1"]
    for path in (tar(tmp_path / "b.tar", ("a\nb\x1b[1m.jpg", b"1")), zipped(tmp_path / "b.zip", ("a\nb\x1b[1m.jpg", b"1"))):
        error = refused(path, r"member 'a\\nb\\x1b\[1m\.jpg' has a control character in its name; rename it")
        assert str(error).isprintable()


def test_zip_name_does_not_end_at_a_null_byte(tmp_path: Path) -> None:
    path = zipped(tmp_path / "a.zip", ("a.jpgX../b", b"1"))
    path.write_bytes(path.read_bytes().replace(b"a.jpgX", b"a.jpg\0"))
    refused(path, r"member 'a\.jpg\\x00\.\./b' has a control character")


@pytest.mark.parametrize("compression", ["gzip", "bzip2", "xz", "zstd"])
def test_bomb_in_a_tar_is_refused_before_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, compression: str
) -> None:
    monkeypatch.setattr(archives, "ALWAYS_BYTES", 1 << 20)
    path = tmp_path / "bomb.tar"
    content = b"".join(block(f"{i}.bmp", b"0", 1 << 20, bytes(1 << 20)) for i in range(16)) + bytes(2 * BLOCK)
    if compression == "zstd":
        path.write_bytes(zstandard.compress(content))
    else:
        with OTHERS[compression](path, "wb") as file:
            file.write(content)
    error = refused(path, r"holds more than [\d,]+ bytes, 200 times its own size, at '\d+\.bmp'; that is a bomb")
    refused(path, "that is a bomb", lambda name: False)
    assert 1 <= len(given(path)[0]) < 16 and str(error) == str(given(path)[1])


def test_bomb_in_a_zip_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = zipped(tmp_path / "bomb.zip", ("small.bmp", bytes(1 << 20)), ("bomb.bmp", bytes(archives.ALWAYS_BYTES)))
    refused(path, r"holds more than 67,108,864 bytes, 200 times its own size, at 'bomb\.bmp'")
    assert list(given(path)[0]) == ["small.bmp"]


def test_blank_picture_is_no_bomb(tmp_path: Path) -> None:
    blank = bytes(32 << 20)
    assert given(zipped(tmp_path / "a.zip", ("blank.bmp", blank))) == ({"blank.bmp": blank}, None)


def test_member_too_large_for_a_picture_is_refused_if_wanted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "MAX_MEMBER_BYTES", 1000)
    files = [("good.jpg", bytes(1000)), ("large.jpg", bytes(1001))]
    for path in (tar(tmp_path / "a.tar", *files), zipped(tmp_path / "a.zip", *files), write(tmp_path / "set", dict(files))):
        refused(path, r"member 'large\.jpg' has 1,001 bytes, more than 1,000; that is no picture")
        assert [member.name for member in members(path, lambda name: name != "large.jpg")] == ["good.jpg"]


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
@pytest.mark.parametrize("announced", [10, 40_000_001])
def test_zip_that_lies_about_a_size_is_caught_without_unpacking_it_all(tmp_path: Path, method: int, announced: int) -> None:
    content = bytes(40_000_000)
    path = zipped(tmp_path / "lies.zip", ("good.jpg", b"1"), ("evil.bmp", content), method=method)
    raw = path.read_bytes()
    place = raw.rindex(b"PK\1\2")
    assert struct.unpack_from("<I", raw, place + 24) == (len(content),)
    path.write_bytes(raw[: place + 24] + struct.pack("<I", announced) + raw[place + 28 :])
    del raw
    tracemalloc.start()
    found, error = given(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found == {"good.jpg": b"1"}
    assert re.search(
        r"lies\.zip: damaged or cut short in 'evil\.bmp' \(.+\); the last good member is 'good\.jpg'", str(error)
    )
    assert announced > 10 or peak < 2_000_000


def test_file_that_grows_while_it_is_read_is_caught(tmp_path: Path) -> None:
    folder = write(tmp_path / "set", {"a.jpg": b"1"})
    with pytest.raises(UserError, match=r"set: damaged or cut short in 'a\.jpg' \(2 bytes came out, 1 were announced\)"):
        list(stream(folder, lambda name: bool((folder / name).write_bytes(b"123"))))
