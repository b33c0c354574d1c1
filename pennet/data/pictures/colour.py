"""Colours as screens show them: whatever a picture's numbers mean, out comes sRGB."""

from __future__ import annotations

import io
import logging
from collections.abc import Callable
from functools import lru_cache, partial
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

logger = logging.getLogger(__name__)

INTENT = ImageCms.Intent.RELATIVE_COLORIMETRIC
FLAGS = ImageCms.Flags.BLACKPOINTCOMPENSATION
"""White stays white and black stays black; colours that sRGB has stay, others become the nearest that it has."""
SAME_LEVELS = 2
"""Of 255. A profile that moves no colour by more is sRGB, of which there are many copies: its pixels stay as they are."""
_LEVELS = np.arange(256, dtype=np.uint8)
_EXACTLY = ImageCms.Flags.NOOPTIMIZE
_MODE_OF_SPACE = {"RGB": "RGB", "GRAY": "L", "CMYK": "CMYK", "Lab": "LAB"}
"""A profile's colour space -> the mode of the pixels that it is about."""
_MODES_FOR = {"RGB": ("1", "L", "P", "PA", "LA", "RGB", "RGBA", "RGBX", "YCbCr"), "L": ("1", "L", "LA")}
"""Mode of a profile -> modes of pictures that can be brought to it; other modes only to themselves."""


def to_srgb(image: Image.Image, name: str) -> Image.Image:
    """A picture of any mode of 8 bits, whose transparency is dropped -> mode RGB, in sRGB.

    An embedded profile is followed, unless it is sRGB, broken, or of other numbers than the picture has: the last two are
    logged, and the picture is read as without one. Without a profile grey, palette and RGB pictures are taken for sRGB, CMYK
    becomes RGB by the complement, Lab by its definition (white D50).

    Args:
        image: decoded, with its profile in `info`.
        name: what to call it in the log.
    """
    profile = image.info.get("icc_profile")
    if profile:
        try:
            mode, convert = _to_srgb(profile)
        except Exception as error:  # on broken profiles lcms and Pillow stumble in any way
            logger.warning("%s: its colour profile is broken and passed over (%s)", name, error)
        else:
            if image.mode in _MODES_FOR.get(mode, (mode,)):
                return convert(image.convert(mode) if image.mode != mode else image)
            logger.warning("%s: its colour profile is for %s, not %s, and passed over", name, mode, image.mode)
    if image.mode == "LAB":
        return _applied(_transform(_profile("LAB"), "LAB", _EXACTLY), image)
    return image.convert("RGB")


@lru_cache(maxsize=8)  # photos of one camera have one profile, and building a transform takes longer than using it
def _to_srgb(profile: bytes) -> tuple[str, Callable[[Image.Image], Image.Image]]:
    """The mode that a profile is about, and what brings pictures of that mode to sRGB.

    Raises:
        ValueError: the profile is of a colour space that no picture here has.
        PyCMSError, OSError: it is broken.
    """
    source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    space = source.profile.xcolor_space.strip()
    if space not in _MODE_OF_SPACE:
        raise ValueError(f"of colour space {space!r}")
    mode = _MODE_OF_SPACE[space]
    if mode == "L":  # lcms is quick with grey by being up to ten levels wrong in the dark
        greys = np.array(_applied(_transform(source, mode, _EXACTLY), Image.fromarray(_LEVELS[None])))[0]
        if _same(greys, _LEVELS[:, None]):
            return mode, _as_it_is
        return mode, lambda image: Image.fromarray(greys[np.array(image)])
    transform = _transform(source, mode)
    if mode == "RGB":
        lattice = np.stack(np.meshgrid(*[_LEVELS[::17]] * 3), axis=-1).reshape(1, -1, 3)
        if _same(np.array(_applied(transform, Image.fromarray(lattice))), lattice):
            return mode, _as_it_is
    return mode, partial(_applied, transform)


def _transform(
    source: ImageCms.ImageCmsProfile, mode: str, flags: ImageCms.Flags = ImageCms.Flags.NONE
) -> ImageCms.ImageCmsTransform:
    return ImageCms.buildTransform(source, _profile("sRGB"), mode, "RGB", INTENT, FLAGS | flags)


def _profile(space: Literal["sRGB", "LAB"]) -> ImageCms.ImageCmsProfile:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile(space))


def _applied(transform: ImageCms.ImageCmsTransform, image: Image.Image) -> Image.Image:
    converted = ImageCms.applyTransform(image, transform)
    assert converted is not None  # as it is where a transform works in place
    return converted


def _as_it_is(image: Image.Image) -> Image.Image:
    return image.convert("RGB")


def _same(converted: NDArray[np.uint8], levels: NDArray[np.uint8]) -> bool:
    return int(np.abs(converted.astype(np.int16) - levels).max()) <= SAME_LEVELS
