"""Blobs: few, in one piece, without holes, with outlines that are round rather than rugged."""

import numpy as np
import pytest
from scipy.ndimage import binary_fill_holes
from scipy.ndimage import label as pieces
from skimage.measure import label, perimeter_crofton, regionprops

from pennet.masks import objects as module
from pennet.masks.objects import objects


def draws(count: int, side_px: int = 128) -> np.ndarray:
    return np.stack([objects(np.random.default_rng(seed), side_px, side_px) for seed in range(count)])


def test_one_to_three_blobs() -> None:
    counts = np.bincount([pieces(mask, np.ones((3, 3)))[1] for mask in draws(400)])
    assert len(counts) == 4
    assert (counts[1:] > 40).all()  # of what touches, fewer are seen than were drawn


def test_blobs_are_smooth_whole_and_of_every_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "NUM_BLOBS", (1, 1))
    masks = [m for m in draws(400) if not (m[0].any() or m[-1].any() or m[:, 0].any() or m[:, -1].any())]
    assert len(masks) > 100
    diameters = []
    for mask in masks:
        assert np.array_equal(binary_fill_holes(mask), mask)
        (region,) = regionprops(label(mask, connectivity=2))
        assert region.solidity > 0.75
        assert 4 * np.pi * region.area / perimeter_crofton(mask) ** 2 > 0.4  # a disc has 1, a star far less
        diameters.append(region.equivalent_diameter_area / 128)
    assert min(diameters) == pytest.approx(0.12, abs=0.03)
    assert max(diameters) > 0.4
    assert np.median(diameters) < 0.3


def test_blobs_are_spread_and_scale_with_the_picture() -> None:
    small = draws(1500, 32).astype(float)
    mean = small.mean(axis=0)
    np.testing.assert_allclose(mean, mean[::-1], atol=0.06)
    np.testing.assert_allclose(mean, mean.T, atol=0.06)
    assert draws(400, 256).mean() == pytest.approx(draws(400, 64).mean(), rel=0.1)
