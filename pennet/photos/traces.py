"""Small copies of the old picture that files carry beside it: they show what a person had removed.

Thumbnails in EXIF, in XMP, in Photoshop's resources; whole pictures in the notes of phones. All else stays as it is.
"""

from __future__ import annotations

import re
import struct

from pennet.photos import ifd

ORIENTATION = 0x0112
_THUMBNAIL_PLACES = ((0x0111, 0x0117), (0x0201, 0x0202))
"""Tags with offset and length of a thumbnail: as strips, as JPEG."""
_JPEG = re.compile(rb"\xff\xd8\xff[\xc0-\xef].*?\xff\xd9", re.DOTALL)
_PHOTOSHOP_THUMBNAILS = (1033, 1036)
_XMP_PICTURES = (
    re.compile(rb"<(xmp|xap):Thumbnails\b.*?</\1:Thumbnails\s*>", re.DOTALL),
    re.compile(rb"<(GImage|GDepth):Data>.*?</\1:Data\s*>", re.DOTALL),
    re.compile(rb"\s(GImage|GDepth):Data\s*=\s*(\"[^\"]*\"|'[^']*')", re.DOTALL),
)


def orientation(exif: bytes) -> int:
    """How stored pixels have to be turned, 1 to 8; 1 (not at all) where it is not said, or not in a way that has a meaning.

    Raises:
        ValueError: broken.
    """
    said = ifd.first_directory(exif).number(ORIENTATION, 1)
    return said if 1 <= said <= 8 else 1


def upright(exif: bytes) -> bytes:
    """EXIF of a picture that is the right side up; all other bytes stay.

    Raises:
        ValueError: broken.
    """
    directory = ifd.first_directory(exif)
    said = directory.entries.get(ORIENTATION)
    if said is None:
        return exif
    value = ifd.entry(directory.order, ORIENTATION, said.type if said.type in (ifd.SHORT, ifd.LONG) else ifd.SHORT, 1).raw
    return exif[: said.at] + value.ljust(len(said.raw), b"\0")[: len(said.raw)] + exif[said.at + len(said.raw) :]


def exif_without_pictures(exif: bytes) -> bytes:
    """EXIF whose thumbnail and other JPEGs, as in the notes of makers, are blank; all other bytes stay where they are.

    Raises:
        ValueError: broken.
    """
    kept = bytearray(exif)
    first = ifd.first_directory(exif)
    if first.next:
        try:
            second = ifd.directory(exif, first.next)
        except ValueError:
            pass
        else:
            for place, length in _THUMBNAIL_PLACES:
                for at, size in zip(second.numbers(place), second.numbers(length), strict=False):
                    kept[at : at + size] = bytes(len(kept[at : at + size]))
        struct.pack_into(f"{first.order}I", kept, first.next_at, 0)
    return _JPEG.sub(lambda jpeg: bytes(len(jpeg[0])), bytes(kept))


def xmp_without_pictures(xmp: bytes) -> bytes:
    """XMP without thumbnails and the pictures of phones' depth effects."""
    for picture in _XMP_PICTURES:
        xmp = picture.sub(b"", xmp)
    return xmp


def holds_jpeg(content: bytes) -> bool:
    """Whether there is a picture in it."""
    return _JPEG.search(content) is not None


def photoshop_without_pictures(resources: bytes) -> bytes:
    """Photoshop's image resources (`8BIM`, number, name, length, data, ...) without thumbnails.

    What cannot be followed to its end is left out.
    """
    kept, start = [], 0
    while resources[start : start + 4] == b"8BIM" and start + 12 <= len(resources):
        (number,) = struct.unpack_from(">H", resources, start + 4)
        name = resources[start + 6] + 1
        at = start + 6 + name + name % 2
        if at + 4 > len(resources):
            break
        (length,) = struct.unpack_from(">I", resources, at)
        end = at + 4 + length + length % 2
        if number not in _PHOTOSHOP_THUMBNAILS and at + 4 + length <= len(resources):
            kept.append(resources[start:end])
        start = end
    return b"".join(kept)
