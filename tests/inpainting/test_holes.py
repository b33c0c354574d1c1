"""Which pixels of a mask belong together, beside SciPy; how broad a hole is, in closed form."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from pennet.inpainting.holes import Box, around, find_boxes, holds_square, label, sums
from pennet.photos.discs import feather_weights, squared_distance


@st.composite
def masks(draw: st.DrawFn) -> np.ndarray:
    height, width = draw(st.integers(1, 40)), draw(st.integers(1, 40))
    share = draw(st.sampled_from([0.0, 0.1, 0.4, 0.6, 1.0]))
    return (np.random.default_rng(draw(st.integers(0, 2**32 - 1))).random((height, width)) < share).astype(np.uint8)


@given(masks())
@settings(max_examples=200, deadline=None, derandomize=True)
def test_labels_are_scipys_but_for_their_numbers(mask: np.ndarray) -> None:
    labels, number = label(mask)
    theirs, their_number = ndimage.label(mask, np.ones((3, 3)))
    assert number == their_number
    pairs = set(zip(labels.ravel().tolist(), theirs.ravel().tolist(), strict=True))
    assert len(pairs) == len({a for a, _ in pairs}) == len({b for _, b in pairs})
    assert all((a == 0) == (b == 0) for a, b in pairs)


@pytest.mark.parametrize("spiral", [False, True])
def test_labels_of_what_winds_through_all_lines(spiral: bool) -> None:
    mask = np.zeros((41, 41), np.uint8)
    mask[::2] = 1
    mask[1::4, -1], mask[3::4, 0] = 1, 1
    if not spiral:
        mask[20] = 0
    labels, number = label(mask)
    assert number == ndimage.label(mask, np.ones((3, 3)))[1] == (1 if spiral else 2)
    assert set(labels[mask > 0].tolist()) == set(range(1, number + 1))


@given(masks())
@settings(max_examples=100, deadline=None, derandomize=True)
def test_boxes_are_scipys(mask: np.ndarray) -> None:
    found = ndimage.find_objects(ndimage.label(mask, np.ones((3, 3)))[0])
    assert find_boxes(mask, 1) == sorted(
        Box(y.start, x.start, y.stop - y.start, x.stop - x.start) for y, x in found if (y, x) is not None
    )


@given(masks(), st.integers(2, 9))
@settings(max_examples=100, deadline=None, derandomize=True)
def test_near_holes_share_an_exact_box(mask: np.ndarray, near_px: int) -> None:
    boxes = find_boxes(mask, near_px)
    covered = np.zeros_like(mask)
    for box in boxes:
        assert around(mask, box) == box  # no line of it is without a hole pixel
        covered[box.place] = 1
    assert (covered >= mask).all()
    assert len(boxes) <= ndimage.label(mask, np.ones((3, 3)))[1]


def test_near_is_a_cell_or_two_that_touch() -> None:
    mask = np.zeros((64, 64), np.uint8)
    mask[1, 1] = mask[14, 15] = mask[40, 40] = 1
    assert find_boxes(mask, 8) == [Box(1, 1, 14, 15), Box(40, 40, 1, 1)]
    assert len(find_boxes(mask, 4)) == 3


@given(masks(), st.integers(1, 12))
@settings(max_examples=200, deadline=None, derandomize=True)
def test_the_largest_square_is_what_erosion_leaves(mask: np.ndarray, side_px: int) -> None:
    left = ndimage.minimum_filter(np.pad(mask, side_px), side_px).any()
    assert holds_square(sums(mask), side_px) == bool(left)


@given(masks(), st.integers(1, 9))
@settings(max_examples=100, deadline=None, derandomize=True)
def test_distances_are_scipys_within_reach(mask: np.ndarray, reach_px: int) -> None:
    if not mask.any():
        return
    exact = ndimage.distance_transform_edt(mask == 0) ** 2
    found = squared_distance(mask, reach_px)
    near = exact <= reach_px**2
    assert np.array_equal(found[near], np.rint(exact[near]))
    assert (found[~near] > reach_px**2).all()


def test_a_feather_fades_with_the_distance() -> None:
    mask = np.zeros((9, 21), np.uint8)
    mask[:, :5] = 1
    assert np.allclose(feather_weights(mask, 3)[4, 3:9], [1, 1, 0.75, 0.5, 0.25, 0])
    assert np.array_equal(feather_weights(mask, 0), mask)
