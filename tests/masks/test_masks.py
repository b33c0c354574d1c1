"""Kinds of masks: what all of them promise, and what each of them is."""

import re
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import distance_transform_edt

from pennet.errors import UserError
from pennet.masks import KINDS, mask_function, mask_kind, numbered_mask
from pennet.masks.bins import HOLE_BINS
from pennet.masks.centre import centre_square
from pennet.masks.free_form import free_form, stroke
from pennet.masks.irregular import irregular
from pennet.masks.jittered_box import jittered_box
from pennet.masks.rotated_square import rotated_square

NAMES = [kind.name for kind in KINDS]
SMALLEST_SIDE_PX = {"irregular": 16}
"""From which side on every mask of a kind can be drawn, where that is not a pixel."""


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=60, deadline=None, derandomize=True)
@given(data=st.data())
def test_every_mask_has_a_hole_and_a_known_pixel_and_repeats(name: str, data: st.DataObject) -> None:
    sides = st.integers(SMALLEST_SIDE_PX.get(name, 1), 80)
    height, width, seed = data.draw(sides), data.draw(sides), data.draw(st.integers(0, 2**32 - 1))
    draw = mask_function(name)
    mask = draw(np.random.default_rng(seed), height, width)
    assert mask.shape == (height, width)
    assert mask.dtype == np.uint8
    assert set(np.unique(mask)) == ({0, 1} if mask.size > 1 else {1})
    assert np.array_equal(mask, draw(np.random.default_rng(seed), height, width))


@pytest.mark.parametrize("name", NAMES)
def test_numbered_mask_depends_on_seed_and_index_alone(name: str) -> None:
    mask = numbered_mask(name, 7, 4, 64, 64)
    assert np.array_equal(mask, numbered_mask(name, 7, 4, 64, 64))
    if name != "centre":  # of which there is only one
        assert not np.array_equal(mask, numbered_mask(name, 8, 4, 64, 64))
        assert not np.array_equal(mask, numbered_mask(name, 7, 10, 64, 64))


def test_unknown_kind_is_named_with_those_there_are() -> None:
    with pytest.raises(UserError, match=re.escape(f"unknown kind of mask 'center'; known are {', '.join(NAMES)}")):
        mask_kind("center")


def test_importing_the_list_draws_in_nothing_heavy() -> None:
    code = "import sys, pennet.masks; print(sorted(set(sys.modules) & {'numpy', 'PIL', 'torch', 'cv2'}))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=240)
    assert result.stdout.strip() == "[]"


def test_centre_square_is_a_quarter_of_the_picture_in_its_middle() -> None:
    mask = centre_square(np.random.default_rng(0), 64, 64)
    assert mask[16:48, 16:48].all()
    assert mask.sum() == 32 * 32


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
        stroke(np.random.default_rng(seed), 64, 64)
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
        2 * distance_transform_edt(np.pad(stroke(np.random.default_rng(seed), 256, 256), 1)).max() for seed in range(200)
    ]
    assert np.percentile(widths, 5) >= 11
    assert 24 <= np.percentile(widths, 25) <= 40


@pytest.mark.parametrize("size", [(64, 64), (128, 128), (64, 96), (16, 16)])
def test_irregular_masks_take_turns_in_their_bins(size: tuple[int, int]) -> None:
    for index in range(18):
        low, high = HOLE_BINS[index % 6]
        assert low < numbered_mask("irregular", 7, index, *size).mean() <= high


def test_irregular_training_masks_come_from_every_bin_alike() -> None:
    ratios = np.array([irregular(np.random.default_rng(seed), 32, 32).mean() for seed in range(600)])
    shares = np.array([hole_bin.holds(ratios).mean() for hole_bin in HOLE_BINS])
    assert shares.sum() == pytest.approx(1)
    np.testing.assert_allclose(shares, 1 / 6, atol=0.05)  # 3 standard deviations of a binomial


def test_irregular_masks_of_pictures_that_are_too_small_are_refused() -> None:
    with pytest.raises(UserError, match=r"no free-form mask of 2x3 px has a hole ratio from .*; use larger images"):
        for index in range(6):
            numbered_mask("irregular", 0, index, 3, 2)
