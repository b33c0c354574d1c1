"""Borders: what stays known is a rectangle, and each side takes part."""

import numpy as np

from pennet.masks.outpainting import outpainting


def test_what_is_known_is_a_rectangle_of_at_least_half_of_each_side() -> None:
    borders = []
    for seed in range(1200):
        known = 1 - outpainting(np.random.default_rng(seed), 64, 96)
        rows, columns = np.flatnonzero(known.any(axis=1)), np.flatnonzero(known.any(axis=0))
        assert known.sum() == (np.ptp(rows) + 1) * (np.ptp(columns) + 1)
        borders.append((rows[0], columns[0], 63 - rows[-1], 95 - columns[-1]))
    shares = np.array(borders) / [64, 96, 64, 96]
    assert shares.max() <= 0.25
    assert shares[shares > 0].min() >= 1 / 16
    np.testing.assert_allclose((shares > 0).mean(axis=0), 5 / 8, atol=0.05)  # the mean of 1 to 4, of 4
    np.testing.assert_allclose(np.bincount((shares > 0).sum(axis=1)) / 1200, [0, 0.25, 0.25, 0.25, 0.25], atol=0.05)
    assert abs(shares[shares > 0].mean() - 5 / 32) < 0.005
