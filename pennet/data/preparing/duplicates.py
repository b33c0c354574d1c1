"""Pictures that look alike: a 64-bit fingerprint of each, and every pair of near fingerprints among millions.

A fingerprint survives another encoding, another size, and more or less light; it does not survive mirroring, turning or
cropping. Pictures with the same bytes need none of this: the index of prepared data has a SHA-256 of each content.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from itertools import combinations, pairwise
from math import comb, log2

import numpy as np
from numpy.typing import NDArray

from pennet.data.pictures.picture_files import Picture

Fingerprints = NDArray[np.uint64]
"""(N,)"""
Places = NDArray[np.int64]
Pairs = NDArray[np.int64]
"""(P, 2)"""

NO_FINGERPRINT = 0
"""Of a picture with too little to tell it from others (one grey, a smooth gradient): it looks like none."""
SAME_PICTURE_BITS = 4
"""The distance up to which fingerprints should be taken for the same picture. Copies of half the size, or as JPEG of quality
50, differ by 4 bits or less; different textures and faces by 9 and more."""
MAX_BITS = 16
"""The largest distance that can be asked for. Half of the 64 bits differ between pictures that have nothing in common."""

_CELLS = 32
_LUMA = (299, 587, 114)  # thousandths, ITU-R BT.601
_STEP = 64  # a grey level
_UNIT = 1 << 12  # 1 as a cosine
_WEAK = _STEP * _UNIT**2 * _CELLS**2 // 4 // 10
"""A wave of a tenth of a grey level: the sign of a weaker one is rounding of the encoder."""
_MOST_WEAK = 24


def fingerprint(picture: Picture) -> int:
    """The signs of 64 low frequencies of a picture's brightness, or `NO_FINGERPRINT`.

    The picture is averaged to 32x32 cells, whatever its sides; of the cosine transform the waves with one to eight half
    periods in both directions give one bit each, 1 = above zero. The mean and waves along one side alone are left out: they
    are what pictures of one kind share. A picture has no fingerprint where more than 24 of the 64 waves are weaker than a
    tenth of a grey level, for then an encoder decides the bits: one grey, a smooth gradient, the finest and most regular
    of textures.

    Every step is exact in integers (float64 holds them, all below 2**53), so every machine finds the same bits.

    Args:
        picture: uint8 (H, W, 3), of any size.

    Returns:
        0 to 2**64 - 1.

    Source: Zauner, Implementation and benchmarking of perceptual image hash functions, 2010 (the DCT hash; zero takes the
    place of the median, which it is close to: a wave's sign does not depend on the other waves).
    """
    height, width = picture.shape[:2]
    sums = (_rows(picture) @ np.array(_LUMA, np.float64) @ _overlaps(width).T).astype(np.int64)
    cells = (sums * _STEP // (sum(_LUMA) * height * width)).astype(np.float64)
    waves = (_cosines() @ cells @ _cosines().T).astype(np.int64).ravel()
    if np.count_nonzero(np.abs(waves) < _WEAK) > _MOST_WEAK:
        return NO_FINGERPRINT
    return int.from_bytes(np.packbits(waves > 0).tobytes(), "big")


def look_alikes(fingerprints: Fingerprints, max_bits: int = SAME_PICTURE_BITS) -> Pairs:
    """Pictures whose fingerprints differ in `max_bits` bits at most, none missed.

    A picture that is there thousands of times would have millions of pairs with itself. So each later picture of equal
    fingerprints is paired with the first of them, and near fingerprints are paired by their first pictures: whoever wants
    all that a picture resembles follows the pairs, or asks `resembling`. Where no fingerprint comes twice these are all
    pairs. Pictures without a fingerprint are in no pair.

    Memory grows with the pictures and the pairs found, time with the pictures and the fingerprints that share many bits: at
    4 bits 0.4 s for 200,000 pictures and 3 s for two million.

    Args:
        fingerprints: uint64 (N,).
        max_bits: 0 to 16.

    Returns:
        (P, 2), each pair i < j once, sorted.

    Raises:
        ValueError: `max_bits` is out of range.
    """
    values, first, member_of = _distinct(fingerprints)
    near = first[_near(values, max_bits)]
    held = np.flatnonzero(fingerprints != NO_FINGERPRINT)
    chain = np.stack([first[member_of[held]], held], axis=1)
    pairs = np.sort(np.concatenate([near, chain[chain[:, 0] != chain[:, 1]]]), axis=1)
    return pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))]


def resembling(fingerprints: Fingerprints, references: Fingerprints, max_bits: int = SAME_PICTURE_BITS) -> NDArray[np.bool_]:
    """Which pictures look like any of the references: what to leave out of training beside the test pictures.

    Args:
        fingerprints: uint64 (N,).
        references: uint64 (M,).
        max_bits: 0 to 16.

    Returns:
        (N,). False for pictures without a fingerprint.

    Raises:
        ValueError: `max_bits` is out of range.
    """
    values, _, member_of = _distinct(np.concatenate([fingerprints, references]))
    ours, theirs = np.split(member_of, [len(fingerprints)])
    is_reference = np.zeros(len(values) + 1, bool)  # the last place is that of pictures without a fingerprint
    is_reference[theirs] = True
    is_reference[-1] = False
    near = _near(values, max_bits)
    resembles = is_reference.copy()
    for one, other in (near.T, near.T[::-1]):
        resembles[one[is_reference[other]]] = True
    found: NDArray[np.bool_] = resembles[ours]
    return found


def _distinct(fingerprints: Fingerprints) -> tuple[Fingerprints, Places, Places]:
    """The fingerprints that occur, the first picture of each, and each picture's place among them: -1 for none."""
    values, first, member_of = np.unique(fingerprints, return_index=True, return_inverse=True)
    skipped = int(len(values) > 0 and values[0] == NO_FINGERPRINT)
    return values[skipped:], first[skipped:].astype(np.int64), member_of.astype(np.int64) - skipped


def _near(values: Fingerprints, max_bits: int) -> Pairs:
    """Pairs of places of distinct values within `max_bits` of each other, each once.

    Cut into `max_bits` + k bands, two such values agree in at least k whole bands. So each choice of k bands is a sort, and
    only values that agree in them are compared.
    """
    if not 0 <= max_bits <= MAX_BITS:
        raise ValueError(f"max_bits must be from 0 to {MAX_BITS}, got {max_bits}")
    count = len(values)
    if max_bits == 0 or count < 2:
        return np.empty((0, 2), np.int64)
    agreeing = _bands_to_agree(count, max_bits)
    found = [np.empty(0, np.int64)]
    for chosen in combinations(_bands(max_bits + agreeing), agreeing):
        keys = values & np.bitwise_or.reduce(np.array(chosen, np.uint64))
        order = np.argsort(keys)
        for one, other in _close_in_runs(keys[order], values[order], max_bits):
            a, b = order[one], order[other]
            found.append(np.minimum(a, b) * count + np.maximum(a, b))
    return np.stack(np.divmod(np.unique(np.concatenate(found)), count), axis=1)


def _close_in_runs(keys: Fingerprints, values: Fingerprints, max_bits: int) -> Iterator[tuple[Places, Places]]:
    """Places of close values with equal keys: each is compared with the 1st, 2nd, 3rd... after it while keys are equal.

    Args:
        keys: sorted, so a pass over all places is as long as the longest run of equal keys, and shrinks.
        values: in the order of the keys.
        max_bits: the distance.
    """
    left, step = np.arange(len(keys)), 0
    while len(left):
        step += 1
        left = left[left + step < len(keys)]
        left = left[keys[left] == keys[left + step]]
        close = left[np.bitwise_count(values[left] ^ values[left + step]) <= max_bits]
        if len(close):
            yield close, close + step


def _bands_to_agree(count: int, max_bits: int) -> int:
    """How many bands make a key: few make long runs of equal keys, many make many sorts."""

    def work(agreeing: int) -> float:
        bands = max_bits + agreeing
        return comb(bands, agreeing) * (log2(count) + count / 2 ** (64 * agreeing / bands))

    return min(range(1, 7), key=work)


def _bands(count: int) -> list[int]:
    """Masks of `count` runs of bits, as equal as can be, that together are all 64."""
    edges = [i * 64 // count for i in range(count + 1)]
    return [(1 << high) - (1 << low) for low, high in pairwise(edges)]


def _rows(picture: Picture) -> NDArray[np.float64]:
    """Each cell's sum over its rows, in parts of 1/32 of a row: (H, W, 3) -> (32, W, 3)."""
    height, width, channels = picture.shape
    if height % _CELLS:
        return (_overlaps(height) @ picture.reshape(height, -1).astype(np.float64)).reshape(_CELLS, width, channels)
    rows = picture.reshape(_CELLS, height // _CELLS, width, channels)  # whole rows: three times as fast
    return _CELLS * rows.sum(axis=1, dtype=np.uint32).astype(np.float64)


@cache
def _overlaps(side: int) -> NDArray[np.float64]:
    """How much of each pixel lies in each cell, in parts of 1/32 of a pixel: (32, side); a row's sum is `side`."""
    cell, pixel = np.arange(_CELLS)[:, None], np.arange(side)
    ends = np.minimum((cell + 1) * side, (pixel + 1) * _CELLS)
    return (ends - np.maximum(cell * side, pixel * _CELLS)).clip(0).astype(np.float64)


@cache
def _cosines() -> NDArray[np.float64]:
    """(8, 32): waves of one to eight half periods, whole numbers."""
    half_periods, cell = np.arange(1, 9)[:, None], np.arange(_CELLS)
    return np.round(_UNIT * np.cos(np.pi * half_periods * (2 * cell + 1) / (2 * _CELLS)))
