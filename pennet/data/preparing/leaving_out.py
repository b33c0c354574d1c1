"""Which pictures of one split look like pictures of another, and so have to go."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pennet.data.pictures.shards import SPLITS

TRAIN, VAL, TEST = (SPLITS.index(split) for split in ("train", "val", "test"))
KEPT = -1


class Verdict(NamedTuple):
    like: NDArray[np.int64]
    """(N,) the picture that each one has to go for: its nearest look-alike, the first of several; `KEPT` if it stays."""
    distance: NDArray[np.int64]
    """(N,) bits of difference to it."""
    num_alike_within: dict[str, int]
    """By split: pictures that stay, and look like others of their split that stay."""


def leave_out(fingerprints: NDArray[np.uint64], splits: NDArray[np.int8], max_bits: int) -> Verdict:
    """The test stays whole: what looks like one of its pictures leaves training and validation. Then what looks like a
    validation picture that has stayed leaves training.

    Args:
        fingerprints: (N,) of each picture.
        splits: (N,) of each picture, as its place in `SPLITS`.
        max_bits: fingerprints of look-alikes differ in at most so many bits.
    """
    from pennet.data.preparing.duplicates import look_alikes

    # Pairs name only the first picture of equal fingerprints, so look-alikes are looked up by fingerprint.
    values, value_of = np.unique(fingerprints, return_inverse=True)
    pairs = value_of[look_alikes(fingerprints, max_bits)].reshape(-1, 2)
    one, other = np.unique(np.concatenate([pairs, pairs[:, ::-1]]), axis=0).T
    bits = np.bitwise_count(values[one] ^ values[other]).astype(np.int64)

    like, distance = np.full(len(splits), KEPT, np.int64), np.zeros(len(splits), np.int64)
    for strong, weak in ((TEST, (VAL, TRAIN)), (VAL, (TRAIN,))):
        stay = np.flatnonzero((splits == strong) & (like == KEPT))
        first = np.full(len(values), KEPT, np.int64)
        first[value_of[stay[::-1]]] = stay[::-1]  # of several the first is written last
        edges = np.flatnonzero(first[one] != KEPT)
        edges = edges[np.lexsort((first[one[edges]], bits[edges], other[edges]))]
        reached, nearest = np.unique(other[edges], return_index=True)
        edge_to = np.full(len(values), KEPT, np.int64)
        edge_to[reached] = edges[nearest]
        go = np.flatnonzero(np.isin(splits, weak) & (like == KEPT) & (edge_to[value_of] != KEPT))
        edge = edge_to[value_of[go]]
        like[go], distance[go] = first[one[edge]], bits[edge]

    within = {}
    for number, split in enumerate(SPLITS):
        have = np.bincount(value_of[(splits == number) & (like == KEPT)], minlength=len(values))
        others = np.zeros(len(values), np.int64)
        np.add.at(others, one, have[other] - (one == other))
        within[split] = int(have[others > 0].sum())
    return Verdict(like, distance, within)
