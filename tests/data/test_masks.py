import numpy as np
import pytest

from pennet.data.masks import centre_square, rotated_square


def test_centre_square_is_a_quarter_of_the_picture_in_its_middle() -> None:
    mask = centre_square(64, 64)
    assert mask[16:48, 16:48].all()
    assert mask.sum() == 32 * 32


@pytest.mark.parametrize("size", [(64, 64), (33, 57), (128, 64)])
def test_rotated_square_is_binary_and_always_has_hole_and_known_pixels(size: tuple[int, int]) -> None:
    for seed in range(200):
        mask = rotated_square(np.random.default_rng(seed), *size)
        assert mask.shape == size
        assert mask.dtype == np.uint8
        assert set(np.unique(mask)) == {0, 1}


def test_rotated_square_has_half_the_side() -> None:
    """Its area is (S/2)², less what a turned square loses at the edge."""
    areas = np.array([rotated_square(np.random.default_rng(seed), 128, 128).sum() for seed in range(300)])
    assert np.median(areas) == pytest.approx(64 * 64, rel=0.02)
    assert areas.max() <= 64 * 64 * 1.02
    assert areas.min() >= 64 * 64 * 0.85


def test_rotated_square_is_spread_over_the_whole_picture_and_both_ways() -> None:
    masks = np.stack([rotated_square(np.random.default_rng(seed), 64, 64) for seed in range(2000)]).astype(float)
    mean = masks.mean(axis=0)
    assert mean[32, 32] > 0.8  # half the side: unturned, the square covers the middle wherever it lies
    np.testing.assert_allclose(mean, mean[::-1], atol=0.06)
    np.testing.assert_allclose(mean, mean[:, ::-1], atol=0.06)
    np.testing.assert_allclose(mean, mean.T, atol=0.06)


def test_rotated_square_depends_on_nothing_but_its_generator() -> None:
    first, second = (rotated_square(np.random.default_rng(5), 64, 64) for _ in range(2))
    assert np.array_equal(first, second)
