"""How files begin, told from what other writers made."""

import bz2
import gzip
import io
import lzma
import tarfile
import zipfile

import pytest

from pennet.data.sources.formats import HEAD_BYTES, beginning, compression, is_tar, is_web_page, is_zip

zstandard = pytest.importorskip("zstandard")


def tar(kind: int = tarfile.USTAR_FORMAT) -> bytes:
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w", format=kind) as archive:
        archive.addfile(tarfile.TarInfo("a.jpg"))
    return target.getvalue()


def zipped(*names: str) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        for name in names:
            archive.writestr(name, b"content")
    return target.getvalue()


def skipped(kind: int, content: bytes = b"four") -> bytes:
    """A skippable frame of RFC 8878: its magic number, the size of its content, its content."""
    return (0x184D2A50 + kind).to_bytes(4, "little") + len(content).to_bytes(4, "little") + content


PAGES = [b"<!DOCTYPE html><title>x</title>", b"\n  <HTML>", b"\xef\xbb\xbf<html>"]
FILES = {
    "zip": [zipped("a.jpg"), zipped()],
    "tar": [tar(kind) for kind in (tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT)],
    "gzip": [gzip.compress(tar())],
    "bzip2": [bz2.compress(tar(), level) for level in (1, 9)],
    "xz": [lzma.compress(tar())],
    "zstd": [zstandard.compress(tar()), *(skipped(kind) + zstandard.compress(tar()) for kind in range(16))],
    "page": PAGES,
    "": [b"", bytes(HEAD_BYTES), b'{"error": "quota"}', skipped(16), skipped(-1), b"\x89PNG\r\n\x1a\n"],
}


NAMED = [pytest.param(what, content, id=f"{what}-{i}") for what, files in FILES.items() for i, content in enumerate(files)]


@pytest.mark.parametrize(("what", "content"), NAMED)  # not by content: gzip's holds the time
def test_file_is_told_by_its_first_bytes(what: str, content: bytes) -> None:
    head = content[:HEAD_BYTES]
    told = {"zip": is_zip(head), "tar": is_tar(head), "page": is_web_page(head), compression(head): True}
    assert [name for name, is_one in told.items() if name and is_one] == ([what] if what else [])


def test_more_bytes_than_needed_do_no_harm() -> None:
    assert is_tar(tar() + b"more") and not is_tar(b"more" + tar())


def test_what_is_no_archive_is_named() -> None:
    assert beginning(PAGES[2]) == "an HTML page, a server's message in place of the file"
    assert beginning(b"%PDF-1.7") == "a PDF"
    assert beginning(b'{"error": "quota exceeded"}') == repr(b'{"error": "quota')
