"""WebP, AVIF and BMP: Pillow hands out and takes their metadata as it is."""

from __future__ import annotations

import io
import struct
from typing import Any

from PIL import AvifImagePlugin, BmpImagePlugin, WebPImagePlugin

from pennet.errors import UserError
from pennet.photos import vp8
from pennet.photos.photo import Form, Samples
from pennet.photos.stored import Stored, check_size, image_of, metadata, samples_of

_OPENED_BY = {
    "WEBP": WebPImagePlugin.WebPImageFile,
    "AVIF": AvifImagePlugin.AvifImageFile,
    "BMP": BmpImagePlugin.BmpImageFile,
}
QUALITY = 90
"""Of lossy pictures whose own quality is not known."""


def read(data: bytes, name: str, format: str) -> Stored:
    """Reads a WebP, AVIF or BMP.

    Raises:
        UserError: animated; names the file and the number of frames.
        Exception: broken, in Pillow's words.
    """
    with _OPENED_BY[format](io.BytesIO(data)) as image:
        check_size(image.size, name)
        frames = getattr(image, "n_frames", 1)
        if frames > 1:
            raise UserError(f"{name}: animated, {frames} frames; save the one that you mean as a PNG of its own")
        image.load()
        samples, words, to_rgb = samples_of(image, name)
        found = metadata(image.info.get("exif", b""), image.info.get("xmp", b""))
        form = Form(
            format=format,
            bands=samples.shape[2] - (samples.shape[2] + 1) % 2,
            orientation=found.orientation,
            exif=found.exif,
            xmp=found.xmp,
            icc=b"" if to_rgb else image.info.get("icc_profile") or b"",
            dpi=image.info.get("dpi"),
            settings=_webp_settings(data) if format == "WEBP" else {},
        )
    if format == "AVIF" and (bits := _avif_bits(data)) > 8:
        words.append(f"its {bits} bits became 8")
    return Stored(samples, form, words + found.words)


def write(samples: Samples, form: Form, format: str) -> tuple[bytes, list[str]]:
    """A file of (H, W, C) uint8, with what a form knows and the format holds."""
    words, settings = [], _kept(form)
    if format == "WEBP":
        settings |= {"method": 4, "exact": True}
        if form.format != "WEBP" or form.settings["lossless"]:
            settings |= {"lossless": True, "quality": 75}
        else:
            settings["quality"] = form.settings["quality"]
            words.append(f"written with quality {settings['quality']}, which is as coarse as it was: WebP does not say it")
    elif format == "AVIF":
        settings |= {"quality": QUALITY, "subsampling": "4:0:0" if samples.shape[2] < 3 else "4:4:4"}
        words.append(f"written with quality {QUALITY}: AVIF does not say its own")
    else:
        lost = [what for what, there in (("EXIF", form.exif), ("XMP", form.xmp), ("colour profile", form.icc)) if there]
        settings = {"dpi": form.dpi} if form.dpi else {}
        if lost:
            words.append(f"BMP holds no {', '.join(lost)}: left out")
    encoded = io.BytesIO()
    image_of(samples).save(encoded, format=format, **settings)
    return encoded.getvalue(), words


def _kept(form: Form) -> dict[str, Any]:
    kept = {"exif": form.exif, "xmp": form.xmp, "icc_profile": form.icc}
    return {key: content for key, content in kept.items() if content}


def _webp_settings(data: bytes) -> dict[str, Any]:
    """Source: RFC 9649, section 2."""
    start = 12
    while start + 8 <= len(data):
        kind, length = struct.unpack_from("<4sI", data, start)
        if kind == b"VP8L":
            return {"lossless": True}
        if kind == b"VP8 ":
            return {"lossless": False, "quality": vp8.quality(vp8.quantiser(data[start + 8 :]))}
        start += 8 + length + length % 2
    return {"lossless": False, "quality": QUALITY}


def _avif_bits(data: bytes) -> int:
    """Of a sample, as the box `pixi` says: version and flags, number of channels, bits of each."""
    at = data.find(b"pixi")
    return data[at + 9] if 0 <= at < len(data) - 9 else 8
