"""Masks of many sizes: their shares, their hole ratios, and the geometry of a turned rectangle."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pennet.masks import many_sizes as module
from pennet.masks.many_sizes import many_sizes
from pennet.masks.rotated_square import rotated_square
from pennet.masks.turned_rectangle import turned_rectangle


def masks(count: int, side_px: int) -> np.ndarray:
    return np.stack([many_sizes(np.random.default_rng(seed), side_px, side_px) for seed in range(count)])


@settings(max_examples=300, deadline=None, derandomize=True)
@given(height=st.integers(16, 100), width=st.integers(16, 100), seed=st.integers(0, 2**32 - 1))
def test_a_hole_and_two_fifths_of_the_picture_known(height: int, width: int, seed: int) -> None:
    mask = many_sizes(np.random.default_rng(seed), height, width)
    assert mask.shape == (height, width)
    assert 0 < mask.mean() <= 0.6


def test_shares_are_those_of_the_constants(monkeypatch: pytest.MonkeyPatch) -> None:
    """Counted where the masks are drawn."""
    drawn = []
    for name in ("_strokes", "rotated_square", "_rectangle"):
        plain = getattr(module, name)
        monkeypatch.setattr(module, name, lambda *args, name=name, plain=plain: drawn.append(name) or plain(*args))
    masks(3000, 16)
    assert len(drawn) == 3000
    assert drawn.count("_strokes") / 3000 == pytest.approx(1 / 3, abs=0.03)  # 3 standard deviations of a binomial
    assert drawn.count("rotated_square") / 3000 == pytest.approx(2 / 9, abs=0.03)


def test_rectangles_are_uniform_in_area_and_of_every_aspect(monkeypatch: pytest.MonkeyPatch) -> None:
    """Measured on the masks by OpenCV's smallest turned rectangle, of those that lost no corner."""
    monkeypatch.setattr(module, "SHARE_OF_STROKES", 0.0)
    monkeypatch.setattr(module, "SHARE_OF_HALF_SQUARES", 0.0)
    drawn = masks(1500, 128)
    ratios = drawn.mean(axis=(1, 2))
    assert ratios.min() >= 0.018
    assert ratios.max() <= 0.46
    shares = np.histogram(ratios, bins=np.linspace(0.02, 0.45, 5))[0] / len(ratios)
    np.testing.assert_allclose(shares, 1 / 4, atol=0.07)  # corners lost at the edge move some one bin down
    whole = drawn[~(drawn[:, 0].any(1) | drawn[:, -1].any(1) | drawn[:, :, 0].any(1) | drawn[:, :, -1].any(1))]
    boxes = [cv2.minAreaRect(np.argwhere(mask).astype(np.float32)) for mask in whole]
    sides = np.array([box[1] for box in boxes]) + 1  # between the centres of the outer pixels, and half of each
    aspects = sides.max(axis=1) / sides.min(axis=1)
    assert aspects.max() <= 2.15
    assert np.histogram(aspects, bins=[1, 2**0.5, 2.15])[0] / len(aspects) == pytest.approx([0.5, 0.5], abs=0.1)
    turned = np.array([box[2] for box in boxes]) % 45
    assert np.quantile(turned, [0.25, 0.75]) == pytest.approx([11.25, 33.75], abs=4)
    mean = drawn.astype(float).mean(axis=0)
    np.testing.assert_allclose(mean, mean[::-1], atol=0.08)
    np.testing.assert_allclose(mean, mean[:, ::-1], atol=0.08)


def test_strokes_reach_every_ratio_up_to_two_fifths(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SHARE_OF_STROKES", 1.0)
    ratios = masks(600, 64).mean(axis=(1, 2))
    assert np.median(ratios) == pytest.approx(0.21 + 0.03, abs=0.04)  # the middle of 2 to 40 %, and half a stroke
    assert np.mean(ratios < 0.1) > 0.05
    assert np.mean(ratios > 0.35) > 0.1


@pytest.mark.parametrize("size", [(64, 64), (48, 80)])
def test_turned_rectangle_has_the_area_and_the_turn_of_its_specification(size: tuple[int, int]) -> None:
    """Against a polygon that is filled by OpenCV, from the same draws."""
    height, width = size
    for seed in range(40):
        mask = turned_rectangle(np.random.default_rng(seed), height, width, 24, 15)
        rng = np.random.default_rng(seed)
        top, left = rng.integers(0, height - 24, endpoint=True), rng.integers(0, width - 15, endpoint=True)
        angle = np.degrees(rng.uniform(0, np.pi / 4)) * rng.choice([-1, 1])
        scale, corners = 16, cv2.boxPoints(((left + 7.5, top + 12.0), (15, 24), float(angle)))
        canvas = np.zeros((height * scale, width * scale), np.uint8)
        cv2.fillPoly(canvas, [np.round(corners * scale).astype(np.int32)], 1)
        share = canvas.reshape(height, scale, width, scale).mean(axis=(1, 3))
        assert np.array_equal(mask[share > 0.95], np.ones((share > 0.95).sum()))
        assert np.array_equal(mask[share < 0.05], np.zeros((share < 0.05).sum()))
        assert mask.mean() == pytest.approx(share.mean(), rel=0.03)


def test_rotated_square_draws_what_it_always_drew() -> None:
    """A hole of its own geometry, from numbers drawn in the order that trainings rely on."""
    for seed in range(50):
        rng = np.random.default_rng(seed)
        top, left = (rng.integers(0, 32, endpoint=True) for _ in range(2))
        angle = rng.uniform(0, np.pi / 4) * rng.choice([-1, 1])
        pixels = np.stack(np.mgrid[0:64, 0:64], axis=-1) + 0.5 - (top + 16, left + 16)
        turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
        expected = (np.abs(pixels @ turn) < 16).all(axis=-1)
        assert np.array_equal(rotated_square(np.random.default_rng(seed), 64, 64), expected)
