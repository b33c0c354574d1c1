"""What the frame before says about a hole, and the measure of its flicker, on scenes whose content is known."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_cdt, gaussian_filter, shift

from pennet.video.calming import Calmed
from pennet.video.flicker import Flicker
from pennet.video.motion import find_motion, ring_around
from tests.video.clips import scene

HOLE = np.zeros((64, 96), bool)
HOLE[20:36, 40:60] = True


def _restless(seed: int) -> Calmed:
    """Calms what fills a hole anew each time, in another grey."""
    return Calmed(_greys(seed))


def _greys(seed: int) -> Callable[[NDArray[np.uint8], NDArray[np.uint8]], NDArray[np.uint8]]:
    rng = np.random.default_rng(seed)
    return lambda frame, hole: np.where(hole[..., None] > 0, np.uint8(rng.integers(60, 196)), frame)


def test_ring_is_what_lies_within_its_width() -> None:
    hole = np.zeros((40, 50), bool)
    hole[5:9, 0:7], hole[30, 44] = True, True
    distance = distance_transform_cdt(~hole, metric="chessboard")
    for width in (1, 3, 12):
        assert (ring_around(hole, width) == ((distance > 0) & (distance <= width))).all()


def test_static_scene_converges_and_stays() -> None:
    frame, calmed, greys = scene(64, 96), _restless(1), _greys(1)
    smooth, plain = Flicker(), Flicker()
    for _ in range(30):
        filled = calmed.step(frame, HOLE)
        assert (filled[~HOLE] == frame[~HOLE]).all()
        smooth.add(filled, HOLE)
        plain.add(greys(frame, HOLE.astype(np.uint8)), HOLE)
    assert smooth.value is not None and plain.value is not None
    assert smooth.value < 0.15 * plain.value


def test_what_was_seen_is_taken_as_a_camera_moves() -> None:
    wide, calmed = scene(64, 300, seed=2), _restless(3)
    for left in range(0, 120, 3):
        frame = wide[:, left : left + 96]
        filled = calmed.step(frame, HOLE)
    assert (filled[HOLE] == frame[HOLE]).all()  # the hole is 20 wide and 40 frames have passed


@pytest.mark.parametrize("px", [(0.0, 0.4), (-0.3, 1.4), (2.25, -0.8)])
def test_parts_of_pixels_are_found_and_kept(px: tuple[float, float]) -> None:
    """A smooth scene that moves by parts of a pixel: shown at its places by cubic splines, of another library."""
    rng = np.random.default_rng(11)
    wide = gaussian_filter(rng.uniform(0, 255, (160, 220, 3)), (2, 2, 0))
    wide = (wide - wide.min()) / np.ptp(wide) * 215 + 20

    def shown(i: int) -> NDArray[np.uint8]:
        moved = shift(wide, (i * px[0], i * px[1], 0), order=3, mode="nearest")
        return moved[48:112, 60:156].round().astype(np.uint8)

    motion = find_motion(shown(1), ring_around(HOLE), shown(0), ~HOLE, (0, 0))
    assert motion.px == pytest.approx(px, abs=0.1)
    assert motion.share > 0.9
    calmed, count = _restless(12), 20
    for i in range(count):
        filled = calmed.step(shown(i), HOLE)
    if px[1] < 0 or px[1] > 1:  # the hole's 20 columns have passed
        half_a_pixel = np.abs(np.diff(wide, axis=1)).mean() / 2
        assert np.abs(filled[HOLE].astype(float) - shown(count - 1)[HOLE]).mean() < 1.5 * half_a_pixel


def test_brightness_that_fades_is_followed() -> None:
    frame = scene(64, 96) // 2 + 60
    calmed = Calmed(lambda frame, hole: np.where(hole[..., None] > 0, np.uint8(100), frame))
    first = calmed.step(frame, HOLE)
    second = calmed.step((frame * 1.1).astype(np.uint8), HOLE)
    assert np.abs(second[HOLE] - first[HOLE] * 1.1).max() < 2 + 0.06 * first[HOLE].max()
    assert second[HOLE].mean() > first[HOLE].mean() + 5


def test_a_cut_begins_anew() -> None:
    calmed, greys = _restless(5), _greys(5)
    for seed in (6, 7):
        frame = scene(64, 96, seed=seed)
        painted, filled = greys(frame, HOLE.astype(np.uint8)), calmed.step(frame, HOLE)
    assert np.abs(filled.astype(int) - painted).max() <= 2


def test_what_is_in_the_hole_is_not_looked_at() -> None:
    frame, results = scene(64, 96), []
    for junk in (0, 255):
        calmed, hidden = _restless(8), frame.copy()
        hidden[HOLE] = junk
        results.append([calmed.step(hidden, HOLE) for _ in range(3)])
    assert all((a[HOLE] == b[HOLE]).all() for a, b in zip(*results, strict=True))


def test_grain_is_that_of_the_surroundings() -> None:
    rng = np.random.default_rng(10)
    calmed, flicker = Calmed(lambda frame, hole: np.where(hole[..., None] > 0, np.uint8(128), frame)), Flicker()
    for _ in range(20):
        frame = (scene(64, 96) / 2 + 60 + rng.normal(0, 6, (64, 96, 3))).round().astype(np.uint8)
        flicker.add(calmed.step(frame, HOLE), HOLE)
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
