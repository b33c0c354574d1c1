"""Who has to go, against a literal reading of the rule."""

import numpy as np
import pytest

from pennet.data.pictures.shards import SPLITS
from pennet.data.preparing.leaving_out import KEPT, TEST, TRAIN, VAL, leave_out


def literal(fingerprints: list[int], splits: list[int], max_bits: int) -> tuple[list[int], list[int], dict[str, int]]:
    num = len(splits)

    def bits(i: int, j: int) -> int:
        return (fingerprints[i] ^ fingerprints[j]).bit_count() if fingerprints[i] and fingerprints[j] else 99

    like, distance = [KEPT] * num, [0] * num
    for strong, weak in ((TEST, (VAL, TRAIN)), (VAL, (TRAIN,))):
        stay = [i for i in range(num) if splits[i] == strong and like[i] == KEPT]
        for j in range(num):
            near = [(bits(i, j), i) for i in stay if bits(i, j) <= max_bits]
            if splits[j] in weak and like[j] == KEPT and near:
                distance[j], like[j] = min(near)
    within = dict.fromkeys(SPLITS, 0)
    for i in range(num):
        alike = [j for j in range(num) if j != i and splits[j] == splits[i] and like[j] == KEPT and bits(i, j) <= max_bits]
        within[SPLITS[splits[i]]] += bool(alike) and like[i] == KEPT
    return like, distance, within


@pytest.mark.parametrize("max_bits", [0, 1, 2, 4])
@pytest.mark.parametrize("seed", range(8))
def test_against_the_literal_rule(seed: int, max_bits: int) -> None:
    """Few bits that are set, so that equal fingerprints, chains and pictures without one abound."""
    rng = np.random.default_rng(seed)
    fingerprints = rng.integers(0, 1 << (4 + seed), 60).astype(np.uint64) << np.uint64(20)
    splits = rng.choice(3, 60, p=[0.6, 0.2, 0.2]).astype(np.int8)
    verdict = leave_out(fingerprints, splits, max_bits)
    like, distance, within = literal(fingerprints.tolist(), splits.tolist(), max_bits)
    assert verdict.like.tolist() == like
    assert verdict.distance.tolist() == distance
    assert verdict.num_alike_within == within


def test_nothing_to_compare() -> None:
    verdict = leave_out(np.empty(0, np.uint64), np.empty(0, np.int8), 4)
    assert not len(verdict.like)
