"""Masks that somebody else drew: a folder, a zip or a tar of mask pictures, as NVIDIA's irregular masks and QD-IMD are."""

from __future__ import annotations

import hashlib
import io
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal

import numpy as np
from numpy.typing import NDArray

from pennet.data.pictures.picture_files import SUFFIXES, read_mask, read_rgb
from pennet.data.sources.archives import stream
from pennet.errors import UserError, all_at_once
from pennet.masks.bins import HOLE_BINS
from pennet.masks.mask import Mask

logger = logging.getLogger(__name__)

Colour = Literal["white", "black"]
LARGEST_MEAN_RATIO = 0.6
"""Mean hole ratio of a set beyond which its declared polarity is not believed.

It is where the largest of the hole-ratio bins ends: each of NVIDIA's masks is below it, and so is the mean of any part of
them, while that of a whole set read the wrong way round is about 0.7.
"""
MOST_GREY, GREY_LEVELS = 0.2, (32, 223)
"""A picture with a larger share of its pixels between these levels is a photo, no mask.

Thin strokes that were enlarged fourfold reach 0.17, saved as JPEG of quality 10 they reach 0.1; of the 281 textures of data
set `terrain` none has less than 0.3.
"""


@dataclass(frozen=True)
class MaskFiles:
    """Masks of one size, bit-packed: 12,000 of 256 px are 98 MB."""

    names: Sequence[str]
    """Of the pictures, sorted."""
    hole_ratio: NDArray[np.float64]
    """(N,), at this size."""
    size_px: int
    packed: NDArray[np.uint8]
    """(N, bytes of a mask); see `numpy.packbits`."""
    order: NDArray[np.int64]
    """(N,) a permutation: which mask stands where in the test set."""

    def __len__(self) -> int:
        return len(self.names)

    def numbered(self, index: int) -> Mask:
        """Mask number `index` of a test set, of any number of pictures: after the last comes the first again."""
        row = self.packed[self.order[index % len(self)]]
        return np.unpackbits(row, count=self.size_px**2).reshape(self.size_px, self.size_px)


def mask_files(path: Path, hole: Colour, size_px: int, seed: int, under: str = "") -> MaskFiles:
    """Reads a set of mask pictures, one at a time; what is kept is bit-packed.

    Masks are resized by nearest neighbour to a square, whatever their aspect. One without a hole or without a known pixel
    is left out, with a warning. Their order in the test set is drawn from the seed: the hole-ratio bins take turns until
    they are used up, then come masks that are in no bin; so each mask is used once before any is used again.

    Args:
        path: a folder, a zip or a tar (also compressed).
        hole: the colour of holes. NVIDIA's testing masks: white; its training masks, and QD-IMD: black.
        size_px: side of the masks that come out.
        seed: of the test set.
        under: a folder inside, to take its masks only; QD-IMD's archive holds two sets.

    Raises:
        UserError: no mask, or none under that folder; a picture that is no mask, or a photo (`MOST_GREY`); the mean hole
            ratio contradicts the declared polarity (see `LARGEST_MEAN_RATIO`); or as `pennet.data.sources.archives.stream`.
    """
    names, ratios, packed = [], [], bytearray()
    left_out, problems = [], []
    total, count = 0.0, 0
    for member, content in stream(path, _wanted(under)):
        try:
            white = _resized(read_black_and_white(io.BytesIO(content), member.name), size_px)
        except UserError as error:
            problems.append(str(error))
            continue
        mask = white if hole == "white" else 1 - white
        ratio = np.count_nonzero(mask) / mask.size
        total, count = total + ratio, count + 1
        if 0 < ratio < 1:
            names.append(member.name)
            ratios.append(ratio)
            packed += np.packbits(mask).tobytes()
        else:
            left_out.append(member.name)
    if problems:
        raise UserError(f"{path}: {all_at_once(problems, 'pictures are no masks')}")
    if not count:
        where = f"no mask under {under!r}" if under.strip("/") else "no mask"
        raise UserError(f"{path}: holds {where}; give mask pictures ({', '.join(SUFFIXES)})")
    if total / count > LARGEST_MEAN_RATIO:
        other = "black" if hole == "white" else "white"
        share = f"hole: {hole} makes holes of {total / count:.0%} of a mask on average, more than {LARGEST_MEAN_RATIO:.0%}"
        raise UserError(f"{path}: {share}; the holes are {other}, so declare hole: {other}")
    if not names:
        raise UserError(f"{path}: no mask of {size_px} px has a hole and a known pixel; give other masks or a larger size")
    if left_out:
        logger.warning("%s: %d masks have no hole or nothing known, and are left out: %s", path, len(left_out), left_out[:3])
    by_name = np.array(sorted(range(len(names)), key=names.__getitem__))
    rows = np.frombuffer(packed, np.uint8).reshape(len(names), -1)
    hole_ratio = np.array(ratios)[by_name]
    order = _in_turn(hole_ratio, np.random.default_rng(seed))
    return MaskFiles([names[row] for row in by_name], hole_ratio, size_px, rows[by_name], order)


def digest(path: Path, under: str = "") -> str:
    """The sha256 of an archive, as `sha256sum` prints it; of a folder that of the names and contents of its masks.

    Raises:
        UserError: as `mask_files`.
    """
    if path.is_file():
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    found = hashlib.sha256()
    for member, content in stream(path, _wanted(under)):
        found.update(f"{hashlib.sha256(content).hexdigest()}  {member.name}\n".encode())
    return found.hexdigest()


def _wanted(under: str) -> Callable[[str], bool]:
    folder = under.strip("/") + "/" if under.strip("/") else ""
    return lambda name: name.startswith(folder) and name.lower().endswith(SUFFIXES)


def read_black_and_white(file: Path | BinaryIO, name: str = "") -> Mask:
    """`read_mask`, 1 = white, of a picture that nobody looks at: a photo would become a mask without a word.

    Raises:
        UserError: as `read_mask`, and for a photo (see `MOST_GREY`); names the file.
    """
    name = name or str(file)
    white = read_mask(file, name)
    red, green, blue = np.moveaxis(read_rgb(file, name).astype(np.float32), 2, 0)
    grey = 0.299 * red + 0.587 * green + 0.114 * blue
    share = float(((grey >= GREY_LEVELS[0]) & (grey <= GREY_LEVELS[1])).mean())
    if share > MOST_GREY:
        level = f"{share:.0%} of its pixels are neither black nor white, more than {MOST_GREY:.0%}"
        raise UserError(f"{name}: {level}: that is a photo; remove it, or make it black and white")
    return white


def _resized(mask: Mask, size_px: int) -> Mask:
    """The nearest pixel's value: (S, S)."""
    rows, columns = (((np.arange(size_px) + 0.5) * side / size_px).astype(int) for side in mask.shape)
    return mask[rows[:, None], columns]


def _in_turn(hole_ratio: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.int64]:
    """A permutation in which bins take turns; inside a bin the order is random."""
    shuffled = rng.permutation(len(hole_ratio))
    round_of, bin_of = np.full(len(shuffled), len(shuffled)), np.full(len(shuffled), len(HOLE_BINS))
    for number, hole_bin in enumerate(HOLE_BINS):
        inside = hole_bin.holds(hole_ratio[shuffled])
        round_of[inside], bin_of[inside] = np.arange(inside.sum()), number
    return shuffled[np.lexsort((bin_of, round_of))]
