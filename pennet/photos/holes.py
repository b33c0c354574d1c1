"""Masks as people make them: grey, soft, transparent, inverted, of another size."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pennet.data.sources.search import shown
from pennet.errors import UserError
from pennet.photos import discs
from pennet.photos.photo import Photo, Samples, eight_bits, grey_of
from pennet.photos.reading import read_photo

MOST_GREY = 0.2
"""Of a mask's pixels: beyond, it is a photo."""
GREY_LEVELS = (26, 229)
"""Of 255: what is neither black nor white, whatever JPEG made of it."""
MOSTLY = 0.5
"""Of a photo: where the hole and the border are beyond, hole and known may have been taken for each other."""
OTHER_SHAPE = 0.02
"""By how much width to height may differ between a mask that is resized and the photo."""
_FULL = 255


class Hole(NamedTuple):
    """What is to be filled."""

    mask: NDArray[np.uint8]
    """(H, W) in {0, 1}, 1 = hole."""
    words: tuple[str, ...]
    """What had to be decided, each a sentence: thresholded, resized, polarity suspected, ..."""

    @property
    def ratio(self) -> float:
        """Share of hole pixels, in [0, 1]."""
        return float(self.mask.mean())


def read_hole(path: Path, height: int, width: int, *, invert: bool = False, resize: bool = False) -> Hole:
    """Reads a mask for a photo of a size (as it is shown: EXIF's orientation is followed in both).

    White is hole: what is above mid-grey, or 1 where there are no other values than 0 and 1. In a mask with transparency,
    what was drawn is hole: on a transparent layer whatever is not transparent, in whatever colour; only where a layer has
    both black and white is white hole, as without transparency. Rubbed out of an opaque photo, what is transparent is hole:
    that is `hole_from_alpha`, and refused here.

    Args:
        path: of a mask, in any format that photos are read from.
        height, width: of the photo, in pixels.
        invert: black is hole.
        resize: a mask of another size is brought to the photo's.

    Raises:
        UserError: unreadable, a photo, of another size without `resize` (names both sizes and --resize-mask) or of another
            shape, no hole, or nothing but hole; names the file.
    """
    photo = read_photo(path)
    white, words = _white(photo)
    if invert:
        white = _FULL - white
    if white.shape != (height, width):
        white, word = _resized(white, height, width, path, resize)
        words.append(word)
    return _checked((white > _FULL // 2).astype(np.uint8), words, path, invert)


def hole_from_alpha(photo: Photo) -> Hole:
    """Where a photo is more transparent than opaque; written with `opaque_in`, it is opaque there.

    Raises:
        UserError: no transparency, or nothing else; names the file.
    """
    if photo.alpha is None:
        raise UserError(
            f"{shown(photo.path)}: no transparency to take for the hole; rub the hole out in a PNG, or give a mask"
        )
    alpha = eight_bits(photo.alpha)
    words = []
    if soft := int(((alpha > 0) & (alpha < _FULL)).sum()):
        words.append(f"{soft:,} pixels are half transparent: hole where less than half is opaque")
    mask = (alpha <= _FULL // 2).astype(np.uint8)
    if not mask.any() or mask.all():
        what = "nothing is transparent" if not mask.any() else "everything is transparent"
        raise UserError(f"{shown(photo.path)}: {what}; rub out what is to be filled, or give a mask")
    return Hole(mask, (*words, _said(mask)))


def _white(photo: Photo) -> tuple[NDArray[np.uint8], list[str]]:
    """How much of a hole each pixel is, (H, W), 0 to 255, and what was decided."""
    words: list[str] = []
    grey = photo.pixels[..., 0] if photo.form.grey else grey_of(photo.pixels)
    brightest = int(grey.max())
    white = (grey * _FULL).astype(np.uint8) if brightest == 1 else eight_bits(grey)
    alpha = None if photo.alpha is None else eight_bits(photo.alpha)
    if alpha is not None and int(alpha.min()) < _FULL:
        return _drawn(photo.path, white, alpha)
    if brightest > 1 and int(white.max()) <= _FULL // 2:
        levels = np.unique(grey)
        if len(levels) > 2 or levels[0] > 0:
            most = np.iinfo(grey.dtype).max
            wanted = f"holes must be white (above {most // 2}), or one colour on black"
            raise UserError(f"{shown(photo.path)}: brightest level {brightest} of {most}; {wanted}")
        return np.where(grey > 0, np.uint8(_FULL), np.uint8(0)), ["two levels, the darker one black: the other one is hole"]
    between = (white >= GREY_LEVELS[0]) & (white <= GREY_LEVELS[1])
    share = float(between.mean())
    if share > MOST_GREY:
        level = f"{share:.0%} of its pixels are neither black nor white, more than {MOST_GREY:.0%}"
        raise UserError(f"{shown(photo.path)}: {level}: that is a photo; give a mask, white where the hole is")
    if soft := int(((white > 0) & (white < _FULL)).sum()):
        what = "grey" if photo.form.grey else "grey or coloured"
        words.append(f"{soft:,} {what} pixels: hole where lighter than mid-grey")
    return white, words


def _drawn(path: Path, white: NDArray[np.uint8], alpha: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], list[str]]:
    """A mask with transparency."""
    densest, faint = int(alpha.max()), []
    if not densest:
        raise UserError(f"{shown(path)}: everything is transparent: no hole; draw it")
    if densest <= _FULL // 2:
        faint = [f"drawn at most {100 * densest / _FULL:.0f} % opaque: hole where it is more than half of that"]
        alpha = (alpha * (_FULL / densest)).round().astype(np.uint8)
    drawn = alpha > _FULL // 2
    levels = white[drawn]
    between = float(((levels >= GREY_LEVELS[0]) & (levels <= GREY_LEVELS[1])).mean())
    light, dark = float((levels > GREY_LEVELS[1]).mean()), float((levels < GREY_LEVELS[0]).mean())
    if min(light, dark) > 0.001 and between < MOST_GREY:
        return white * drawn, [*faint, "drawn in black and white on a transparent layer: white is hole"]
    if between > MOST_GREY and _many_colours(levels) and drawn.mean() > MOSTLY:
        raise UserError(
            f"{shown(path)}: a photo with transparency, no mask; give alpha as its mask to fill where it is clear"
        )
    words = [*faint, "drawn on a transparent layer: what is drawn is hole, whatever its colour"]
    if not faint and (soft := int(((alpha > 0) & (alpha < _FULL)).sum())):
        words.append(f"{soft:,} half transparent pixels: hole where more than half is opaque")
    return alpha, words


def _many_colours(levels: Samples) -> bool:
    """More than a few pens have: levels of grey that a thousandth of the pixels has each."""
    return int((np.bincount(levels, minlength=256) > len(levels) / 1000).sum()) > 32


def _resized(white: NDArray[np.uint8], height: int, width: int, path: Path, wanted: bool) -> tuple[NDArray[np.uint8], str]:
    own, needed = f"{white.shape[1]} x {white.shape[0]}", f"{width} x {height}"
    if not _same_shape(white.shape, height, width):
        fits_turned = _same_shape(white.shape[::-1], height, width)
        remedy = "turn it by 90 degrees" if fits_turned else "cut it, or draw it on the photo"
        shape = f"{own} px, of another shape than the photo's {needed} px"
        raise UserError(f"{shown(path)}: {shape}{' as it is shown' * fits_turned}: it would not fit; {remedy}")
    if not wanted:
        raise UserError(
            f"{shown(path)}: {own} px, but the photo has {needed} px; give a mask of its size, or use --resize-mask"
        )
    hard = Image.fromarray(np.where(white > _FULL // 2, np.uint8(_FULL), np.uint8(0)))
    if white.shape[0] > height:  # whatever has some hole in it: thin scratches are not lost
        resized = np.where(np.array(hard.resize((width, height), Image.Resampling.BOX)) > 0, np.uint8(_FULL), np.uint8(0))
    else:  # smooth edges instead of stairs
        resized = np.array(hard.resize((width, height), Image.Resampling.BILINEAR))
    return resized, f"resized from {own} to {needed} px"


def _same_shape(own: tuple[int, ...], height: int, width: int) -> bool:
    return abs(own[1] * height / (own[0] * width) - 1) <= OTHER_SHAPE


def _checked(mask: NDArray[np.uint8], words: list[str], path: Path, inverted: bool) -> Hole:
    if not mask.any():
        nothing = "black (below mid-grey)" if inverted else "white (above mid-grey)"
        polarity = "leave out --invert-mask" if inverted else "use --invert-mask"
        raise UserError(f"{shown(path)}: no hole: nothing is {nothing}; draw it, or {polarity}")
    if mask.all():
        everything = "black (below mid-grey)" if inverted else "white (above mid-grey)"
        raise UserError(f"{shown(path)}: nothing but hole: everything is {everything}; leave something known")
    words.append(_said(mask))
    border = np.concatenate([mask[0], mask[-1], mask[1:-1, 0], mask[1:-1, -1]])
    if mask.mean() > MOSTLY and border.mean() > MOSTLY:
        remedy = "if white is the hole, leave out --invert-mask" if inverted else "if black is the hole, use --invert-mask"
        words.append(f"most of the photo and of its border would be filled: {remedy}")
    return Hole(mask, tuple(words))


def _said(mask: NDArray[np.uint8]) -> str:
    share = 100 * float(mask.mean())
    return (
        f"{share:.1f} % of the photo is hole"
        if share >= 0.05
        else f"{(pixels := int(mask.sum())):,} pixel{'s are' if pixels > 1 else ' is'} hole"
    )


def dilated(mask: NDArray[np.uint8], radius_px: int) -> NDArray[np.uint8]:
    """The hole, grown by a disc of a radius: (H, W) in {0, 1}."""
    return discs.dilated(mask, radius_px)
