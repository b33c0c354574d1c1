"""Which windows a mask gets: in closed form for squares, and what holds for every mask."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pennet.inpainter import Window
from pennet.inpainting.holes import Box
from pennet.inpainting.windows import LEAST_KNOWN, Sight, Task, at_once, known_share, lay_out, merged, needed_factor

SIGHT = Sight(trained_px=64, unit_px=8)


def mask_with(shape: tuple[int, int], *boxes: tuple[int, int, int, int]) -> np.ndarray:
    mask = np.zeros(shape, np.uint8)
    for box in boxes:
        mask[Box(*box).place] = 1
    return mask


# 5/8 of 64 are 40 px.
@pytest.mark.parametrize(("side", "factor"), [(1, 1), (40, 1), (41, 2), (80, 2), (81, 4), (160, 4), (161, 8), (600, 16)])
def test_the_factor_of_a_square_brings_it_to_what_the_model_knows(side: int, factor: int) -> None:
    box = (200, 300, side, side)
    mask = mask_with((1500, 1600), box)
    assert needed_factor(mask, Box(*box), 64) == factor
    (task,) = lay_out(mask, SIGHT, own_size=False)
    assert task.boxes == (Box(*box),)
    assert task.window.factor == factor
    assert side / factor <= 40 < max(2 * side / factor, 41)


def test_a_window_is_twice_its_hole_around_it_and_divides() -> None:
    (task,) = lay_out(mask_with((3000, 4000), (1000, 2000, 600, 600)), SIGHT, own_size=False)
    # 1200 px of 16 x 8 px cells: 1280; half the difference is on every side.
    assert task.window == (1000 + 300 - 640, 2000 + 300 - 640, 1280, 1280, 16)
    (task,) = lay_out(mask_with((3000, 4000), (0, 3990, 10, 10)), SIGHT, own_size=False)
    assert task.window == (0, 4000 - 64, 64, 64, 1)


def test_crop_keeps_the_window_and_the_photos_size() -> None:
    mask = mask_with((3000, 4000), (1000, 2000, 600, 600))
    (task,) = lay_out(mask, SIGHT, own_size=True)
    assert task.window == (700, 1700, 1200, 1200, 1)


def test_a_photo_hardly_larger_than_a_window_is_seen_whole() -> None:
    (task,) = lay_out(mask_with((90, 100), (10, 10, 20, 20)), SIGHT, own_size=False)
    assert task.window == (0, 0, 90, 100, 1)


def test_a_scratch_across_the_photo_is_narrow_and_filled_in_pieces() -> None:
    mask = np.zeros((1000, 1000), np.uint8)
    for i in range(990):
        mask[i : i + 5, i : i + 5] = 1
    tasks = lay_out(mask, SIGHT, own_size=False)
    assert {task.window.factor for task in tasks} == {1}
    assert all(task.is_part and max(task.boxes[0][2:]) <= 128 and max(task.window[2:4]) <= 256 for task in tasks)


def test_the_largest_holes_come_first_and_the_fine_ones_over_them() -> None:
    tasks = lay_out(mask_with((2000, 2000), (5, 5, 6, 6), (900, 900, 300, 300), (1500, 5, 100, 100)), SIGHT, own_size=False)
    assert [task.window.factor for task in tasks] == [8, 4, 1]


def test_specks_that_fit_into_one_window_share_it() -> None:
    rng = np.random.default_rng(0)
    places = rng.integers(0, 1000, (300, 2))
    mask = mask_with((1010, 1010), *((y, x, 3, 3) for y, x in places.tolist()))
    assert len(lay_out(mask, Sight(256, 8), own_size=False)) <= 100
    assert merged([Box(0, 0, 5, 5), Box(0, 20, 5, 5), Box(0, 60, 5, 5)], 32) == [Box(0, 0, 5, 25), Box(0, 60, 5, 5)]


@pytest.mark.parametrize("shape", [(200, 260), (260, 200), (90, 100), (256, 256)])
@pytest.mark.parametrize("share", [0.0005, 0.05, 0.4])
@pytest.mark.parametrize("own_size", [False, True])
def test_specks_all_over_a_small_photo_are_painted_at_once(shape: tuple[int, int], share: float, own_size: bool) -> None:
    mask = (np.random.default_rng(0).random(shape) < share).astype(np.uint8)
    for sight in (Sight(128, 16), Sight(256, 1)):
        tasks = lay_out(mask, sight, own_size)
        seen = sum(task.window.height * task.window.width for task in tasks)
        assert seen <= mask.size
        assert not any(task.is_part for task in tasks)
        if share > 0.01:
            (task,) = tasks
            assert task.window == (0, 0, *shape, 1)


def test_pieces_of_a_long_hole_that_all_see_the_same_are_no_pieces() -> None:
    whole, corner = Window(0, 0, 90, 100, 1), Window(0, 0, 64, 64, 1)
    one, two, three = Box(0, 0, 40, 40), Box(0, 40, 40, 40), Box(0, 80, 40, 20)
    parts = [Task((one,), whole, True), Task((two,), corner, True), Task((three,), whole, True)]
    assert at_once(parts[::2]) == [Task((one, three), whole, False)]
    assert at_once(parts) == [Task((one, three), whole, True), Task((two,), corner, True)]


def test_holes_of_a_narrow_photo_whose_windows_are_equal_share_them() -> None:
    tasks = lay_out(mask_with((100, 2000), (5, 5, 30, 30), (65, 5, 30, 30), (5, 1900, 30, 30)), SIGHT, own_size=False)
    assert [task.boxes for task in tasks] == [(Box(5, 5, 30, 30), Box(65, 5, 30, 30)), (Box(5, 1900, 30, 30),)]
    assert len({task.window for task in tasks}) == len(tasks)


@st.composite
def any_mask(draw: st.DrawFn) -> np.ndarray:
    height, width = draw(st.integers(2, 150)), draw(st.integers(2, 150))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    if draw(st.booleans()):
        mask = (rng.random((height, width)) < draw(st.sampled_from([0.01, 0.3, 0.95]))).astype(np.uint8)
    else:
        mask = np.zeros((height, width), np.uint8)
        for _ in range(draw(st.integers(1, 4))):
            top, left = rng.integers(0, height), rng.integers(0, width)
            mask[top : top + rng.integers(1, height + 1), left : left + rng.integers(1, width + 1)] = 1
    mask[rng.integers(0, height), rng.integers(0, width)] = 1
    mask[0, 0] = 0
    return mask


@given(any_mask(), st.sampled_from([Sight(16, 4), Sight(32, 8), Sight(8, 64)]), st.booleans())
@settings(max_examples=200, deadline=None, derandomize=True)
def test_every_hole_is_painted_and_every_window_knows_something(mask: np.ndarray, sight: Sight, own_size: bool) -> None:
    covered = np.zeros_like(mask)
    for box, (top, left, height, width, factor) in [(b, t.window) for t in lay_out(mask, sight, own_size) for b in t.boxes]:
        covered[box.place] = 1
        assert 0 <= top <= box.top
        assert box.top + box.height <= top + height <= mask.shape[0]
        assert 0 <= left <= box.left
        assert box.left + box.width <= left + width <= mask.shape[1]
        assert factor == 1 if own_size else factor & (factor - 1) == 0
        known = known_share(mask[top : top + height, left : left + width], factor)
        assert known >= LEAST_KNOWN or (factor == 1 and known > 0)
        for side, total in ((height, mask.shape[0]), (width, mask.shape[1])):
            assert side == total or side % (factor * sight.unit_px) == 0
    assert (covered >= mask).all()
