"""What the frame before says about a hole, and the measure of its flicker, on scenes whose content is known."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_cdt

from pennet.video.flicker import Flicker
from pennet.video.smoothing import Smoother, ring_around
from tests.video.clips import scene

HOLE = np.zeros((64, 96), bool)
HOLE[20:36, 40:60] = True


def _painted(frame: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """A hole filled anew each time, in another grey."""
    painted = frame.copy()
    painted[HOLE] = rng.integers(60, 196)
    return painted


def test_ring_is_what_lies_within_its_width() -> None:
    hole = np.zeros((40, 50), bool)
    hole[5:9, 0:7], hole[30, 44] = True, True
    distance = distance_transform_cdt(~hole, metric="chessboard")
    for width in (1, 3, 12):
        assert (ring_around(hole, width) == ((distance > 0) & (distance <= width))).all()


def test_static_scene_converges_and_stays() -> None:
    frame, rng = scene(64, 96), np.random.default_rng(1)
    smoother, smooth, plain = Smoother(), Flicker(), Flicker()
    for _ in range(30):
        painted = _painted(frame, rng)
        filled = smoother.step(frame, HOLE, painted)
        assert (filled[~HOLE] == frame[~HOLE]).all()
        smooth.add(filled, HOLE)
        plain.add(painted, HOLE)
    assert smooth.value is not None and plain.value is not None
    assert smooth.value < 0.15 * plain.value


def test_what_was_seen_is_taken_as_a_camera_moves() -> None:
    wide, rng = scene(64, 300, seed=2), np.random.default_rng(3)
    smoother = Smoother()
    for left in range(0, 120, 3):
        frame = wide[:, left : left + 96]
        filled = smoother.step(frame, HOLE, _painted(frame, rng))
        assert smoother.shift == ((0, -3) if left else (0, 0))
    assert (filled[HOLE] == frame[HOLE]).all()  # the hole is 20 wide and 40 frames have passed


def test_brightness_that_fades_is_followed() -> None:
    frame, rng = scene(64, 96) // 2 + 60, np.random.default_rng(4)
    smoother = Smoother()
    painted = _painted(frame, rng)
    first = smoother.step(frame, HOLE, painted)
    second = smoother.step((frame * 1.1).astype(np.uint8), HOLE, painted)
    assert np.abs(second[HOLE] - first[HOLE] * 1.1).max() < 2 + 0.06 * first[HOLE].max()
    assert second[HOLE].mean() > first[HOLE].mean() + 5


def test_a_cut_begins_anew() -> None:
    rng = np.random.default_rng(5)
    smoother, before, after = Smoother(), scene(64, 96, seed=6), scene(64, 96, seed=7)
    smoother.step(before, HOLE, _painted(before, rng))
    painted = _painted(after, rng)
    assert np.abs(smoother.step(after, HOLE, painted).astype(int) - painted).max() <= 2


def test_what_is_in_the_hole_is_not_looked_at() -> None:
    frame, rng = scene(64, 96), np.random.default_rng(8)
    painted = [_painted(frame, rng) for _ in range(3)]
    results = []
    for junk in (0, 255):
        smoother, hidden = Smoother(), frame.copy()
        hidden[HOLE] = junk
        results.append([smoother.step(hidden, HOLE, p) for p in painted])
    assert all((a == b).all() for a, b in zip(*results, strict=True))


def test_grain_is_that_of_the_surroundings() -> None:
    rng = np.random.default_rng(10)
    smoother, flicker = Smoother(), Flicker()
    for _ in range(20):
        frame = (scene(64, 96) / 2 + 60 + rng.normal(0, 6, (64, 96, 3))).round().astype(np.uint8)
        flicker.add(smoother.step(frame, HOLE, np.full_like(frame, 128)), HOLE)
    around = 2 * 6 / np.sqrt(np.pi)
    assert flicker.hole_change is not None
    assert 0.7 * around < flicker.hole_change < 1.1 * around


@pytest.mark.parametrize("sigma", [0, 4])
def test_flicker_against_its_definition(sigma: int) -> None:
    rng = np.random.default_rng(9)
    clip = [(scene(64, 96) / 2 + 60 + rng.normal(0, sigma, (64, 96, 3))).astype(np.uint8) for _ in range(5)]
    flicker = Flicker()
    for frame in clip:
        flicker.add(frame, HOLE)
    steps = np.abs(np.diff(np.stack(clip).astype(int), axis=0)).mean(axis=3)
    expected = steps[:, HOLE].mean() - steps[:, ring_around(HOLE)].mean()
    assert flicker.value == pytest.approx(expected, abs=1e-9)
    assert sigma or flicker.value == 0
    assert flicker.hole_change == pytest.approx(steps[:, HOLE].mean(), abs=1e-9)


def test_flicker_needs_two_frames_and_a_hole() -> None:
    flicker = Flicker()
    flicker.add(scene(64, 96), HOLE)
    assert flicker.value is None
    flicker.add(scene(64, 96), ~HOLE & False)
    assert flicker.value is None
