"""TIFF: all tags that are not about the layout of its pixels are carried over as bytes.

Source: TIFF, revision 6.0 (Adobe, 1992). Pillow holds no colours of 16 bits: it only undoes the compression of such files,
and is shown bytes where there are samples of two bytes each. The same on the way back.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from PIL import Image, TiffImagePlugin

from pennet.errors import UserError
from pennet.photos import ifd, traces
from pennet.photos.ifd import LONG, SHORT, Directory, Entry, entry
from pennet.photos.photo import Form, Samples
from pennet.photos.stored import EXIF_BROKEN, OLD_PICTURES, Stored, check_size, samples_of

WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC, STRIPS, SAMPLES, ROWS, LENGTHS = 256, 257, 258, 259, 262, 273, 277, 278, 279
PLANES, PREDICTOR, TILE_WIDTH, TILE_HEIGHT, TILES, TILE_LENGTHS, EXTRA, FORMAT = 284, 317, 322, 323, 324, 325, 338, 339
KIND, UNIT, SUBPICTURES, XMP, PHOTOSHOP, PHOTOSHOP_LAYERS, ICC = 254, 296, 330, 700, 34377, 37724, 34675
X_RESOLUTION, Y_RESOLUTION, _CAPTIONS = 282, 283, 33723
_LAYOUT = (
    *(WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC, 266, STRIPS, SAMPLES, ROWS, LENGTHS, PLANES, PREDICTOR, 320),
    *(TILE_WIDTH, TILE_HEIGHT, TILES, TILE_LENGTHS, 332, 333, 334, 336, 337, EXTRA, FORMAT, 347),
    *(512, 513, 514, 515, 517, 518, 519, 520, 521, 529, 530, 531, 532),
)
"""Tags about how the pixels lie."""
_LEFT_OUT = (KIND, 255, 280, 281, 290, 291, 301, SUBPICTURES, XMP, ICC, PHOTOSHOP_LAYERS)
"""Tags that hold for the old pixels only, or that `Form` holds by another name."""
_RAW = (50706, 50740)
"""Tags of camera raw files, whose first picture is a preview."""
_DEFLATE = "tiff_adobe_deflate"
_NAME_OF_COMPRESSION = {5: "tiff_lzw", 8: _DEFLATE, 32946: _DEFLATE, 32773: "packbits", 50000: "zstd"}
_LZW, _NONE, _DIFFERENCES = 5, 1, 2
_GREY, _INVERTED_GREY, _RGB, _YCBCR = 1, 0, 2, 6
_ALPHA, _MULTIPLIED_ALPHA = 2, 1
_INCH, _CENTIMETRE = 2, 3
_DIVIDED = "colours that were multiplied with their transparency were divided by it"


class _Layout(NamedTuple):
    """How samples of 16 bits lie in a file."""

    height: int
    width: int
    bands: int
    in_planes: bool
    differences: bool
    tile_width: int


def read(data: bytes, name: str) -> Stored:
    """Reads a TIFF.

    Raises:
        UserError: several pages, numbers of other than 1 to 8 or 16 bits, camera raw; names the file.
        Exception: broken, in Pillow's words.
    """
    first = ifd.first_directory(data)
    pages, copies = _pages(data, first)
    if pages > 1:
        raise UserError(f"{name}: {pages} pages; save the one that you mean as a file of its own")
    if any(tag in first.entries for tag in _RAW):
        raise UserError(f"{name}: a camera's raw file; develop it into a TIFF of 16 bits, or a JPEG, first")
    check_size((first.number(WIDTH, 0), first.number(HEIGHT, 0)), name)
    bits = max(first.numbers(BITS, (1,)))
    kind = first.number(FORMAT, 1)
    if kind != 1 or bits not in (1, 2, 4, 8, 16):
        what = {1: "", 2: " with a sign", 3: " with a fraction"}.get(kind, " of an unknown kind")
        raise UserError(f"{name}: numbers of {bits} bits{what} have no known white; save it with 8 or 16 bits")
    if bits == 16:
        samples, words = _wide(data, first, name)
        to_rgb = False
    else:
        samples, words, to_rgb = _narrow(data, first, name)
    if copies or SUBPICTURES in first.entries or PHOTOSHOP_LAYERS in first.entries:
        words.append(OLD_PICTURES)
    form, more_words = _form(data, first, samples, to_rgb)
    return Stored(samples, form, words + more_words)


def write(samples: Samples, form: Form) -> tuple[bytes, list[str]]:
    """A TIFF of (H, W, C), with what a form knows."""
    height, width, bands = samples.shape
    settings: Mapping[str, Any] = {"compression": 8, "predictor": _DIFFERENCES} if form.format != "TIFF" else form.settings
    tree = _tree_of(form.exif)
    order = tree.order
    if settings["predictor"] == _DIFFERENCES:
        samples = np.concatenate([samples[:, :1], np.diff(samples, axis=1)], axis=1)  # what is negative wraps around
    size = samples.dtype.itemsize
    content = np.ascontiguousarray(samples.astype(f"{order}u{size}")).view(np.uint8).reshape(height, -1)
    strips, rows = _strips(content, settings["compression"])
    lengths = [len(strip) for strip in strips]
    offsets = np.cumsum([8, *lengths])
    layout = [
        entry(order, WIDTH, LONG, width),
        entry(order, HEIGHT, LONG, height),
        entry(order, BITS, SHORT, *(8 * size,) * bands),
        entry(order, COMPRESSION, SHORT, settings["compression"]),
        entry(order, PHOTOMETRIC, SHORT, _GREY if bands < 3 else _RGB),
        entry(order, STRIPS, LONG, *(int(offset) for offset in offsets[:-1])),
        entry(order, SAMPLES, SHORT, bands),
        entry(order, ROWS, LONG, rows),
        entry(order, LENGTHS, LONG, *lengths),
        entry(order, PLANES, SHORT, 1),
    ]
    if settings["predictor"] == _DIFFERENCES:
        layout.append(entry(order, PREDICTOR, SHORT, _DIFFERENCES))
    if bands in (2, 4):
        layout.append(entry(order, EXTRA, SHORT, _ALPHA))
    layout += [Entry(tag, 7, len(raw), raw, 0) for tag, raw in ((ICC, form.icc), (XMP, form.xmp)) if raw]
    if form.dpi and X_RESOLUTION not in tree.entries:
        for tag, dpi in ((X_RESOLUTION, form.dpi[0]), (Y_RESOLUTION, form.dpi[1])):
            layout.append(Entry(tag, 5, 1, struct.pack(f"{order}II", round(dpi * 1000), 1000), 0))
        layout.append(entry(order, UNIT, SHORT, _INCH))
    for each in layout:
        tree.entries[each.tag] = each
    end = int(offsets[-1])
    behind, at = ifd.packed_tree(tree, end + end % 2)
    return ifd.header(order, at) + b"".join(strips) + bytes(end % 2) + behind, list(settings.get("words", ()))


def exif_of(form: Form) -> bytes:
    """What other formats take of a TIFF's tags: without captions, which may be longer than they hold."""
    tree = _tree_of(form.exif)
    for tag in (PHOTOSHOP, _CAPTIONS):
        tree.entries.pop(tag, None)
    block, at = ifd.packed_tree(tree, 8)
    return ifd.header(tree.order, at) + block


def _pages(data: bytes, first: Directory) -> tuple[int, int]:
    """Pictures, and small copies of pictures (by the tag that says so), which are no pages."""
    directory, seen, copies = first, {first.next_at}, first.number(KIND, 0) & 1
    while directory.next:
        try:
            directory = ifd.directory(data, directory.next)
        except ValueError:  # careless programs leave anything there
            break
        if directory.next_at in seen:
            break
        seen.add(directory.next_at)
        copies += directory.number(KIND, 0) & 1
    return len(seen) - copies, copies


def _form(data: bytes, first: Directory, samples: Samples, to_rgb: bool) -> tuple[Form, list[str]]:
    words: list[str] = []
    raw = {tag: first.entries[tag].raw for tag in (ICC, XMP, PHOTOSHOP) if tag in first.entries}
    tree = ifd.tree(data, first)
    said = first.number(traces.ORIENTATION, 1)
    for tag in (*_LAYOUT, *_LEFT_OUT):
        tree.entries.pop(tag, None)
    if tree.broken:
        words.append(EXIF_BROKEN)
    xmp, old = raw.get(XMP, b""), False
    kept = traces.xmp_without_pictures(xmp)
    if PHOTOSHOP in raw:
        resources = traces.photoshop_without_pictures(raw[PHOTOSHOP])
        old = resources != raw[PHOTOSHOP]
        tree.entries[PHOTOSHOP] = Entry(PHOTOSHOP, 7, len(resources), resources, 0)
        if not resources:
            del tree.entries[PHOTOSHOP]
    block, at = ifd.packed_tree(tree, 8)
    exif = ifd.header(first.order, at) + block
    blank = traces.exif_without_pictures(exif)
    if old or kept != xmp or blank != exif:
        words.append(OLD_PICTURES)
    compression = first.number(COMPRESSION, _NONE)
    settings: dict[str, Any] = {"compression": compression, "predictor": first.number(PREDICTOR, 1)}
    if compression not in (_NONE, *_NAME_OF_COMPRESSION):
        settings = {"compression": _LZW, "predictor": _DIFFERENCES}
        settings["words"] = [f"its compression ({compression}) is not written: LZW, which loses nothing"]
    elif settings["predictor"] != 1:
        settings["predictor"] = _DIFFERENCES
    return Form(
        format="TIFF",
        bands=samples.shape[2] - (samples.shape[2] + 1) % 2,
        orientation=said if 1 <= said <= 8 else 1,
        exif=blank,
        xmp=kept,
        icc=b"" if to_rgb else raw.get(ICC, b""),
        dpi=_dpi(first),
        settings=settings,
    ), words


def _dpi(first: Directory) -> tuple[float, float] | None:
    found = []
    for tag in (X_RESOLUTION, Y_RESOLUTION):
        resolution = first.entries.get(tag)
        if resolution is None or resolution.type != 5 or resolution.length != 1:
            return None
        upper, lower = struct.unpack(f"{first.order}II", resolution.raw)
        found.append(upper / max(lower, 1) * {_CENTIMETRE: 2.54}.get(first.number(UNIT, _INCH), 1))
    return (found[0], found[1]) if first.number(UNIT, _INCH) != 1 else None


def _narrow(data: bytes, first: Directory, name: str) -> tuple[Samples, list[str], bool]:
    """Samples of at most 8 bits, by Pillow, which sees no other tags than those about pixels."""
    kept = [each for tag, each in first.entries.items() if tag in _LAYOUT]
    icc = first.entries.get(ICC)
    if first.number(PLANES, 1) == 2 and first.number(SAMPLES, 1) > 1:
        planes = [_decoded(data, first.order, _plane(first, kept, plane)) for plane in range(first.number(SAMPLES, 1))]
        samples = np.stack([np.array(image) for image in planes], axis=2)
        if first.number(PHOTOMETRIC, _RGB) not in (_GREY, _RGB) or first.number(BITS, 8) != 8:
            raise UserError(f"{name}: colours other than RGB in planes; save it as RGB")
        return *_without_extra(samples, first), False
    image = _decoded(data, first.order, kept)
    image.info["icc_profile"] = icc.raw if icc else None
    samples, words, to_rgb = samples_of(image, name)
    if image.mode == "RGB" and first.number(PHOTOMETRIC, _RGB) == _YCBCR:
        words.append("YCbCr became RGB")
    if first.numbers(EXTRA)[:1] == (_MULTIPLIED_ALPHA,):
        words.append(_DIVIDED)
    return samples, words, to_rgb


def _wide(data: bytes, first: Directory, name: str) -> tuple[Samples, list[str]]:
    """Samples of 16 bits: (H, W, C) uint16, alpha last, and words."""
    photometric = first.number(PHOTOMETRIC, _GREY)
    if photometric not in (_GREY, _INVERTED_GREY, _RGB):
        raise UserError(f"{name}: 16 bits in colours other than grey and RGB; save it as RGB of 16 bits")
    layout = _Layout(
        height=first.number(HEIGHT, 0),
        width=first.number(WIDTH, 0),
        bands=first.number(SAMPLES, 1),
        in_planes=first.number(PLANES, 1) == 2,
        differences=first.number(PREDICTOR, 1) == _DIFFERENCES,
        tile_width=first.number(TILE_WIDTH, first.number(WIDTH, 0)),
    )
    kept = [each for tag, each in first.entries.items() if tag in _LAYOUT]
    if layout.in_planes:
        one = layout._replace(bands=1)
        planes = [_pairs(data, first.order, _plane(first, kept, plane), one) for plane in range(layout.bands)]
        samples = np.concatenate(planes, axis=2)
    else:
        samples = _pairs(data, first.order, kept, layout)
    if photometric == _INVERTED_GREY:
        samples[..., :1] = 65535 - samples[..., :1]
    return _without_extra(samples, first)


def _pairs(data: bytes, order: str, kept: list[Entry], layout: _Layout) -> Samples:
    """Samples that Pillow takes for two grey pixels each: (H, W, C) uint16."""
    changed = {each.tag: each for each in kept}
    for tag in (EXTRA, FORMAT, PREDICTOR, PLANES):
        changed.pop(tag, None)
    factor = 2 * layout.bands
    for each in (
        entry(order, WIDTH, LONG, layout.width * factor),
        entry(order, BITS, SHORT, 8),
        entry(order, SAMPLES, SHORT, 1),
        entry(order, PHOTOMETRIC, SHORT, _GREY),
    ):
        changed[each.tag] = each
    if TILE_WIDTH in changed:
        changed[TILE_WIDTH] = entry(order, TILE_WIDTH, LONG, layout.tile_width * factor)
    content = np.array(_decoded(data, order, list(changed.values())))
    samples = content.view(f"{order}u2").astype(np.uint16).reshape(layout.height, layout.width, layout.bands)
    if layout.differences:
        for left in range(0, layout.width, layout.tile_width):
            tile = samples[:, left : left + layout.tile_width]
            np.cumsum(tile, axis=1, dtype=np.uint16, out=tile)
    return samples


def _plane(first: Directory, kept: list[Entry], plane: int) -> list[Entry]:
    """The tags of one band of a picture whose bands lie one after the other."""
    changed = {each.tag: each for each in kept if each.tag not in (EXTRA, PLANES, FORMAT)}
    bands = first.number(SAMPLES, 1)
    for tag in (STRIPS, LENGTHS, TILES, TILE_LENGTHS):
        if tag in changed:
            numbers = first.numbers(tag)
            each = len(numbers) // bands
            changed[tag] = entry(first.order, tag, LONG, *numbers[plane * each : (plane + 1) * each])
    for tag, value in ((BITS, first.number(BITS, 8)), (SAMPLES, 1), (PHOTOMETRIC, _GREY)):
        changed[tag] = entry(first.order, tag, SHORT, value)
    return list(changed.values())


def _without_extra(samples: Samples, first: Directory) -> tuple[Samples, list[str]]:
    """Grey or RGB, with alpha if there is one."""
    colours = 1 if first.number(PHOTOMETRIC, _GREY) in (_GREY, _INVERTED_GREY) else 3
    extra = first.numbers(EXTRA)
    words: list[str] = []
    if samples.shape[2] > colours + 1 or (samples.shape[2] > colours and extra[:1] not in ((_ALPHA,), (_MULTIPLIED_ALPHA,))):
        words.append("channels beside its colours that are not said to be transparency are left out")
    if extra[:1] == (_MULTIPLIED_ALPHA,):
        alpha, most = samples[..., colours : colours + 1].astype(np.float64), np.iinfo(samples.dtype).max
        divided = np.rint(samples[..., :colours] * (most / np.maximum(alpha, 1))).clip(0, most).astype(samples.dtype)
        words.append(_DIVIDED)
        return np.concatenate([divided, samples[..., colours : colours + 1]], axis=2), words
    return samples[..., : colours + (extra[:1] == (_ALPHA,))], words


def _decoded(data: bytes, order: str, entries: list[Entry]) -> Image.Image:
    """What Pillow makes of a file that has these tags and no others."""
    if ifd.is_big(data):  # old offsets are longer than four bytes, but what is trusted here lies below 4 GiB
        entries = [entry(order, each.tag, LONG, *each.numbers(order)) if each.type in (16, 18) else each for each in entries]
    at = len(data) + len(data) % 2
    changed = ifd.header(order, at) + data[8:] + bytes(len(data) % 2) + ifd.packed(order, entries, at)
    image = TiffImagePlugin.TiffImageFile(io.BytesIO(changed))
    image.load()
    return image


def _tree_of(exif: bytes) -> ifd.Tree:
    """What a form's EXIF says of the picture; tags about pixels, which other formats' EXIF may have, are left out."""
    if not exif:
        return ifd.Tree("<", {}, {}, False)
    tree = ifd.tree(exif, ifd.first_directory(exif))
    for tag in (*_LAYOUT, *_LEFT_OUT):
        tree.entries.pop(tag, None)
    return tree


def _strips(content: Samples, compression: int) -> tuple[list[bytes], int]:
    """Bytes (H, N) as compressed strips, and the rows of each."""
    height = len(content)
    if compression == _NONE:
        return [content.tobytes()], height
    encoded = io.BytesIO()
    Image.fromarray(content).save(encoded, format="TIFF", compression=_NAME_OF_COMPRESSION[compression])
    data = encoded.getvalue()
    found = ifd.first_directory(data)
    places = zip(found.numbers(STRIPS), found.numbers(LENGTHS), strict=True)
    return [data[at : at + length] for at, length in places], found.number(ROWS, height)
