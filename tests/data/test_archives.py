"""Archives and folders of every format give their files."""

import posixpath
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path
from typing import IO

import psutil
import pytest

from pennet.data.sources.archives import Member, members, stream
from tests.data.archive_samples import (
    BLOCK,
    FILES,
    MADE_BY,
    OTHERS,
    block,
    given,
    raw_tar,
    shell,
    special,
    tar,
    write,
    zipped,
)

zstandard = pytest.importorskip("zstandard")


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
from pennet.data.sources.archives import stream
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
