import bz2
import errno
import gzip
import io
import lzma
import os
import posixpath
import random
import re
import shutil
import struct
import subprocess
import sys
import tarfile
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import IO

import psutil
import pytest

from pennet.data import archives
from pennet.data.archives import Member, members, stream
from pennet.errors import UserError

zstandard = pytest.importorskip("zstandard")

RANDOM = random.Random(0)
DEEP = f"{'d' * 90}/{'e' * 90}"
FILES = {
    "a/b/two.png": RANDOM.randbytes(512),  # a whole block of tar's
    "a/empty.txt": b"",
    "a/one.jpg": RANDOM.randbytes(1000),
    "a-b/three.JPG": RANDOM.randbytes(70_000),
    "b a/vier ü.jpg": RANDOM.randbytes(513),
    f"{DEEP}/deep.jpg": b"deep",
}
"""In the order of a folder."""
MADE_BY = {
    "gnu.tar": "tar --format=gnu -cf {out} .",
    "gnu-names.tar": "tar --format=gnu -cf {out} *",
    "ustar.tar": "tar --format=ustar -cf {out} .",
    "pax.tar": "tar --format=pax -cf {out} .",
    "records.tar": "tar --blocking-factor=1 -cf {out} .",
    "set.tar.gz": "tar -czf {out} .",
    "set.tgz": "tar -c . | gzip -1 > {out}",
    "two-parts.tar.gz": "tar -cf t.tmp * && (head -c 5000 t.tmp | gzip; tail -c +5001 t.tmp | gzip) > {out}; rm t.tmp",
    "set.tar.bz2": "tar -c . | bzip2 > {out}",
    "set.tar.xz": "tar -c . | xz > {out}",
    "set.tar.zst": "tar -c . | zstd -q > {out}",
    "parallel.tar.zst": "tar -c . | pzstd -q > {out}",
    "long-window.tar.zst": "tar -c . | zstd -q --long=27 > {out}",
    "zip.zip": "zip -qr {out} .",
    "stored.zip": "zip -qr0 {out} *",
    "streamed.zip": "zip -qr - . | cat > {out}",
    "zip64.zip": "zip -qr -fz {out} .",
    "python.zip": f"{sys.executable} -m zipfile -c {{out}} *",
    "tar-that-says-gz.tar.gz": "tar -cf {out} .",
    "gz-that-says-tar.tar": "tar -c . | gzip > {out}",
    "zip-that-says-tar.tar": "zip -qr - . > {out}",
    "no-suffix": "tar -c . | xz > {out}",
}
OTHERS = {"gzip": gzip.open, "bzip2": bz2.open, "xz": lzma.open}
BLOCK = 512


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write(tmp_path / "set", FILES)


def write(folder: Path, files: dict[str, bytes]) -> Path:
    folder.mkdir(exist_ok=True)
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def shell(command: str, folder: Path, out: Path) -> Path:
    """Runs a command in a folder; skips the test where one of its tools is missing."""
    for tool in re.findall(r"\b(tar|gzip|bzip2|xz|zstd|pzstd|zip)\b ", command):
        if not shutil.which(tool):
            pytest.skip(f"{tool} is not installed")
    subprocess.run(command.format(out=out), shell=True, cwd=folder, check=True, timeout=60)
    return out


def tar(path: Path, *files: tuple[tarfile.TarInfo | str, bytes], **options: int) -> Path:
    """Members as they are told, however evil."""
    with tarfile.open(path, "w", **options) as target:
        for header, content in files:
            header = tarfile.TarInfo(header) if isinstance(header, str) else header
            header.size = header.size or len(content)
            target.addfile(header, io.BytesIO(content))
    return path


def special(name: str, kind: bytes, target: str = "") -> tuple[tarfile.TarInfo, bytes]:
    header = tarfile.TarInfo(name)
    header.type, header.linkname = kind, target
    return header, b""


def zipped(path: Path, *files: tuple[zipfile.ZipInfo | str, bytes], method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", method) as target:
        for name, content in files:
            target.writestr(name, content, method)
    return path


def raw_tar(path: Path, *blocks: bytes) -> Path:
    path.write_bytes(b"".join(blocks) + bytes(2 * BLOCK))
    return path


def block(name: str, kind: bytes, size: int, content: bytes = b"") -> bytes:
    """A header and what follows it, whatever its size says."""
    header = tarfile.TarInfo(name)
    header.type, header.size = kind, size
    return header.tobuf(tarfile.GNU_FORMAT) + content + bytes(-len(content) % BLOCK)


def refused(path: Path, message: str, wanted: Callable[[str], bool] = archives.everything) -> UserError:
    """Both ways of reading end in the same message that names the archive."""
    with pytest.raises(UserError, match=message) as caught:
        for _ in stream(path, wanted):
            pass
    assert str(caught.value).startswith(f"{path}")
    with pytest.raises(UserError, match=message):
        list(members(path, wanted))
    return caught.value


def given(path: Path) -> tuple[dict[str, bytes], UserError | None]:
    """What comes until the end or an error."""
    found: dict[str, bytes] = {}
    try:
        for member, content in stream(path):
            assert member == Member(member.name, len(content)) and member.name not in found
            found[member.name] = content
    except UserError as error:
        return found, error
    return found, None


# What is right


@pytest.mark.parametrize("name", MADE_BY)
def test_archives_of_other_tools_give_their_files(folder: Path, tmp_path: Path, name: str) -> None:
    path = shell(MADE_BY[name], folder, tmp_path / name)
    assert given(path) == (FILES, None)
    assert {member.name: member.size for member in members(path)} == {n: len(content) for n, content in FILES.items()}


def test_folder_gives_its_files_sorted(folder: Path, tmp_path: Path) -> None:
    found, error = given(folder)
    assert list(found.items()) == list(FILES.items()) and error is None
    assert list(members(folder)) == [Member(name, len(content)) for name, content in FILES.items()]
    (tmp_path / ".linked").symlink_to(folder)
    assert given(tmp_path / ".linked") == (FILES, None)


@pytest.mark.parametrize("kind", ["gnu", "pax"])
def test_long_names_come_whole(tmp_path: Path, kind: str) -> None:
    files = {f"{'p' * 200}/{i}{'ü' * 90}.jpg": b"%d" % i for i in range(3)}
    path = shell(f"tar --format={kind} -cf {{out}} .", write(tmp_path / "long", files), tmp_path / "long.tar")
    assert given(path) == (files, None)


def test_names_come_without_what_says_nothing(tmp_path: Path) -> None:
    names = ["./a/b.jpg", "c//d.jpg", "e/./f.jpg", "././/g.jpg", "h /i.jpg"]
    files = [(name, b"x") for name in names]
    for path in (tar(tmp_path / "a.tar", *files, special("./j/", tarfile.DIRTYPE)), zipped(tmp_path / "a.zip", *files)):
        assert [member.name for member in members(path)] == [posixpath.normpath(name) for name, _ in files]


def test_archives_keep_their_own_order(tmp_path: Path) -> None:
    files = [("z.jpg", b"1"), ("a.jpg", b"2"), ("m/b.jpg", b"3")]
    for path in (tar(tmp_path / "a.tar", *files), zipped(tmp_path / "a.zip", *files)):
        assert [(member.name, content) for member, content in stream(path)] == files


@pytest.mark.parametrize("kind", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_tar_of_the_old_kind_and_of_git_is_read(tmp_path: Path, kind: int) -> None:
    path = tar(tmp_path / "a.tar", ("a.jpg", b"content"), format=kind)
    old = bytearray(path.read_bytes())
    old[156:157], old[257:265] = b"\0", bytes(8)  # no type, no mark of the format
    old[148:156] = b"%06o\0 " % (sum(old[:148]) + 8 * ord(" ") + sum(old[156:512]))
    path.write_bytes(old)
    assert given(path) == ({"a.jpg": b"content"}, None)
    header = block("pax_global_header", tarfile.XGLTYPE, 52, b"52 comment=" + b"0" * 40 + b"\n")
    assert given(raw_tar(path, header, block("a.jpg", b"0", 7, b"content"))) == ({"a.jpg": b"content"}, None)


def test_only_what_is_wanted_is_read(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    zip_file = zipped(tmp_path / "set.zip", *FILES.items())
    tar_file = tar(tmp_path / "set.tar", *FILES.items())
    content_read: list[str] = []
    original = zipfile.ZipFile.open

    def spy(self: zipfile.ZipFile, info: zipfile.ZipInfo) -> IO[bytes]:
        content_read.append(info.filename)
        return original(self, info)

    monkeypatch.setattr(zipfile.ZipFile, "open", spy)
    for path in (zip_file, tar_file, folder):
        asked: list[str] = []
        found = [member.name for member, _ in stream(path, lambda name, a=asked: a.append(name) or name.endswith(".jpg"))]
        assert found == [name for name in FILES if name.endswith(".jpg")]
        assert asked == list(FILES)
        assert [member.name for member in members(path, lambda name: name.endswith(".jpg"))] == found
    assert content_read == found


def test_hidden_files_are_passed_over_unasked(tmp_path: Path) -> None:
    hidden = [
        "__MACOSX/a/._one.jpg",
        "a/._one.jpg",
        ".DS_Store",
        "a/.directory",
        "a/Thumbs.db",
        ".git/x.jpg",
        "DESKTOP.INI",
        "Icon\r",
    ]
    files = [(name, b"x") for name in (*hidden, "a/one.jpg")]
    folder = write(tmp_path / "set", dict(files))
    for path in (folder, tar(tmp_path / "a.tar", *files), zipped(tmp_path / "a.zip", *files)):
        assert given(path) == ({"a/one.jpg": b"x"}, None)


def test_zip_with_more_members_than_16_bits_count(tmp_path: Path) -> None:
    count = 65_600
    path = tmp_path / "many.zip"
    with zipfile.ZipFile(path, "w") as target:
        for i in range(count):
            target.writestr(zipfile.ZipInfo(f"{i}.txt"), b"%d" % i)
    assert path.read_bytes()[-22:][8:12] == b"\xff\xff\xff\xff"  # which is what zip64 is for
    asked: list[str] = []
    found = list(stream(path, lambda name: asked.append(name) or name in ("0.txt", "65599.txt")))
    assert asked == [f"{i}.txt" for i in range(count)]
    assert found == [(Member("0.txt", 1), b"0"), (Member("65599.txt", 5), b"65599")]


PEAK = """
import sys, tracemalloc
from pathlib import Path
from pennet.data.archives import stream
for path in map(Path, sys.argv[1:]):
    tracemalloc.start()
    count = sum(1 for _ in stream(path))
    print(count, tracemalloc.get_traced_memory()[1])
    tracemalloc.stop()
"""


def test_memory_hardly_grows_with_the_number_of_members(tmp_path: Path) -> None:
    """In a process of its own: whatever else grows in this one would be counted, such as its table of interned strings."""
    counts = [100, 1_000, 10_000]  # the first for what is imported once
    for count in counts:
        with (tmp_path / f"{count}.tar").open("wb") as file:
            for i in range(count):
                file.write(block(f"folder/{i}.jpg", b"0", 5, b"%05d" % i))
            file.write(bytes(2 * BLOCK))
    command = [sys.executable, "-c", PEAK, *(str(tmp_path / f"{count}.tar") for count in counts)]
    output = subprocess.run(command, check=True, capture_output=True, text=True, timeout=120).stdout
    found = [[int(number) for number in line.split()] for line in output.splitlines()]
    assert [count for count, _ in found] == counts
    (_, _), (_, few), (_, many) = found
    assert many - few < 9_000 * 4 * 8  # 8 bytes a name, and as much again to sort; `tarfile` keeps more than 1,000


def test_abandoned_stream_leaves_no_file_open(tmp_path: Path) -> None:
    files = [("a.jpg", b"1"), ("b.jpg", b"2")]
    plain = tar(tmp_path / "a.tar", *files)
    paths = [plain, zipped(tmp_path / "a.zip", *files)]
    for name, opener in OTHERS.items():
        paths.append(tmp_path / name)
        with opener(paths[-1], "wb") as file:
            file.write(plain.read_bytes())
    paths.append(tmp_path / "zstd")
    paths[-1].write_bytes(zstandard.compress(plain.read_bytes()))
    for path in paths:
        reading = stream(path)
        next(reading)
        assert str(path) in {file.path for file in psutil.Process().open_files()}
        reading.close()
        assert str(path) not in {file.path for file in psutil.Process().open_files()}


def test_errors_of_the_caller_stay_what_they_are(tmp_path: Path) -> None:
    path = tar(tmp_path / "a.tar", ("a.jpg", b"1"))
    with pytest.raises(ZeroDivisionError):
        list(stream(path, lambda name: bool(1 / 0)))


# What is evil


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
        error = refused(path, f"member {re.escape(repr(name))} {message}; take the archive from a source", lambda _: wanted)
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


# What is broken


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
        (b"\xff\xd8\xff\xe0", "begins with a JPEG picture"),
        (b"\x89PNG\r\n\x1a\n", "begins with a PNG picture"),
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
        "jpeg",
        "png",
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
