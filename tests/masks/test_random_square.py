"""Squares of half the side, anywhere."""

import numpy as np
import pytest

from pennet.masks.random_square import random_square


@pytest.mark.parametrize(("height", "width", "side"), [(64, 64, 32), (40, 81, 20), (1, 7, 1)])
def test_an_upright_square_of_half_the_shorter_side(height: int, width: int, side: int) -> None:
    for seed in range(50):
        rows, columns = np.nonzero(random_square(np.random.default_rng(seed), height, width))
        assert len(rows) == side * side
        assert np.ptp(rows) == np.ptp(columns) == side - 1


def test_every_place_is_alike_often() -> None:
    places = [np.argwhere(random_square(np.random.default_rng(seed), 8, 8))[0] for seed in range(2500)]
    counts = np.histogram2d(*np.transpose(places), bins=[np.arange(6), np.arange(6)])[0]
    assert counts.sum() == 2500
    np.testing.assert_allclose(counts, 100, atol=40)  # 4 standard deviations
