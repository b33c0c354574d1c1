"""How files begin: what tells an archive from a web page, whatever either is called."""

from __future__ import annotations

import tarfile

HEAD_BYTES = tarfile.BLOCKSIZE
"""They tell what a file is: tar's marks are as far in as that."""

_ZIP = (b"PK\3\4", b"PK\5\6")
_COMPRESSIONS = {
    b"\x1f\x8b": "gzip",
    b"BZh": "bzip2",
    b"\xfd7zXZ\0": "xz",
    b"\x28\xb5\x2f\xfd": "zstd",
    # Frames to be skipped, of sixteen kinds (RFC 8878, section 3.1.2): parallel tools write one first.
    **{bytes([0x50 + kind]) + b"\x2a\x4d\x18": "zstd" for kind in range(16)},
}
_WEB_PAGE = (b"<!doctype html", b"<html")
_OTHERS = {
    **dict.fromkeys(_WEB_PAGE, "an HTML page, a server's message in place of the file"),
    b"<?xml": "XML, perhaps a server's message in place of the file",
    b"version https://git-lfs": "a pointer of Git LFS in place of the file",
    b"rar!": "a RAR archive",
    b"7z\xbc\xaf\x27\x1c": "a 7-Zip archive",
    b"%pdf": "a PDF",
}
_PICTURES = {
    b"\xff\xd8\xff": "JPEG",
    b"\x89PNG": "PNG",
    b"GIF8": "GIF",
    b"BM": "BMP",
    b"II*\0": "TIFF",
    b"MM\0*": "TIFF",
}

# The argument of all functions: `HEAD_BYTES` or more of a file's first bytes, fewer only of a shorter file.


def is_zip(head: bytes) -> bool:
    return head.startswith(_ZIP)


def is_tar(head: bytes) -> bool:
    """Whether it is a tar's first header, not compressed."""
    try:
        tarfile.TarInfo.frombuf(head[:HEAD_BYTES], "utf-8", "surrogateescape")
    except tarfile.HeaderError:
        return False
    return True


def compression(head: bytes) -> str:
    """gzip, bzip2, xz or zstd; empty if it is none of them."""
    return next((name for magic, name in _COMPRESSIONS.items() if head.startswith(magic)), "")


def is_web_page(head: bytes) -> bool:
    return _text(head).startswith(_WEB_PAGE)


def picture_kind(head: bytes) -> str:
    """JPEG, PNG, GIF, BMP, TIFF, WebP, AVIF or HEIC; empty if it is none of them."""
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return "WebP"
    if head[4:8] == b"ftyp" and head[8:12] in (b"avif", b"avis", b"heic", b"heix", b"mif1"):
        return "AVIF" if head[8:12] in (b"avif", b"avis") else "HEIC"
    return next((kind for magic, kind in _PICTURES.items() if head.startswith(magic)), "")


def beginning(head: bytes) -> str:
    """What a file is that begins like this, as far as that can be told; ends the sentence `it begins with`."""
    if not head:
        return "nothing, empty or cut short as it is"
    if not head.strip(b"\0"):
        return "zeros, as a download that wrote nothing or an empty tar archive"
    if kind := picture_kind(head):
        return f"a {kind} picture"
    start = _text(head)
    return next((what for magic, what in _OTHERS.items() if start.startswith(magic)), repr(head[:16]))


def _text(head: bytes) -> bytes:
    """In lower case, without the mark of UTF-8 and without blanks before it."""
    return head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
