import numpy as np
import pytest
from scipy.ndimage import distance_transform_edt

from pennet.data.masks import (
    IRREGULAR_BINS,
    _stroke,
    box_and_free_form,
    centre_square,
    free_form,
    irregular,
    jittered_box,
    rotated_square,
)


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


@pytest.mark.parametrize("function", [jittered_box, free_form, box_and_free_form])
@pytest.mark.parametrize("size", [(64, 64), (48, 80), (256, 256)])
def test_training_masks_are_binary_and_repeat(function, size: tuple[int, int]) -> None:
    for seed in range(50):
        mask = function(np.random.default_rng(seed), *size)
        assert mask.shape == size
        assert mask.dtype == np.uint8
        assert set(np.unique(mask)) == {0, 1}
        assert np.array_equal(mask, function(np.random.default_rng(seed), *size))


@pytest.mark.parametrize("function", [rotated_square, jittered_box, free_form, box_and_free_form])
@pytest.mark.parametrize("size", [(1, 2), (2, 1), (1, 9), (2, 2), (3, 2), (3, 3), (5, 1), (7, 4)])
def test_masks_of_tiny_pictures_have_hole_and_known_pixels(function, size: tuple[int, int]) -> None:
    assert set(np.unique(centre_square(*size))) == {0, 1}
    for seed in range(100):
        mask = function(np.random.default_rng(seed), *size)
        assert mask.shape == size
        assert set(np.unique(mask)) == {0, 1}


@pytest.mark.parametrize("function", [rotated_square, jittered_box, free_form, box_and_free_form])
def test_the_only_pixel_of_a_picture_is_hole(function) -> None:
    assert function(np.random.default_rng(0), 1, 1) == 1
    assert centre_square(1, 1) == 1


def test_strokes_have_four_to_eleven_vertices(monkeypatch: pytest.MonkeyPatch) -> None:
    """Counted where they are drawn: a line through them all."""
    from PIL import ImageDraw

    counts = []
    draw_line = ImageDraw.ImageDraw.line

    def counting(self, vertices, **options):
        counts.append(len(vertices))
        draw_line(self, vertices, **options)

    monkeypatch.setattr(ImageDraw.ImageDraw, "line", counting)
    for seed in range(300):
        _stroke(np.random.default_rng(seed), 64, 64)
    assert set(counts) == set(range(4, 12))


def test_jittered_box_has_the_sides_of_its_specification() -> None:
    heights, tops = [], []
    for seed in range(3000):
        rows = np.flatnonzero(jittered_box(np.random.default_rng(seed), 256, 256).any(axis=1))
        assert len(rows) == rows[-1] - rows[0] + 1
        heights.append(len(rows))
        tops.append(rows[0])
    assert min(heights) >= 128 - 32
    assert max(heights) <= 128
    assert np.mean(heights) == pytest.approx(128 - 16, abs=0.5)  # two sides, each moved in by the mean of U{0..16}
    assert np.mean(tops) == pytest.approx(64 + 8, abs=2.5)


def test_free_form_strokes_are_spread_and_scale_with_the_picture() -> None:
    masks = np.stack([free_form(np.random.default_rng(seed), 64, 64) for seed in range(1500)]).astype(float)
    mean = masks.mean(axis=0)
    np.testing.assert_allclose(mean, mean[::-1], atol=0.07)
    np.testing.assert_allclose(mean, mean[:, ::-1], atol=0.07)
    large = np.mean([free_form(np.random.default_rng(seed), 256, 256).mean() for seed in range(300)])
    assert masks.mean() == pytest.approx(large, rel=0.1)
    assert 0.1 < masks.mean() < 0.3


def test_a_stroke_is_as_wide_as_its_brush() -> None:
    """The largest disc inside a stroke is its brush, 12 to 40 px of 256, or more where it crosses itself."""
    widths = [
        2 * distance_transform_edt(np.pad(_stroke(np.random.default_rng(seed), 256, 256), 1)).max() for seed in range(200)
    ]
    assert np.percentile(widths, 5) >= 11
    assert 24 <= np.percentile(widths, 25) <= 40


@pytest.mark.parametrize("size", [(64, 64), (128, 128), (64, 96)])
def test_irregular_masks_take_turns_in_their_bins(size: tuple[int, int]) -> None:
    for index in range(18):
        low, high = IRREGULAR_BINS[index % 6]
        assert low < irregular(7, index, *size).mean() <= high


def test_irregular_masks_depend_on_seed_and_index_alone() -> None:
    assert np.array_equal(irregular(7, 4, 64, 64), irregular(7, 4, 64, 64))
    assert not np.array_equal(irregular(7, 4, 64, 64), irregular(8, 4, 64, 64))
    assert not np.array_equal(irregular(7, 4, 64, 64), irregular(7, 10, 64, 64))
