"""The seam against closed forms and a literal reading of its definition."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from pennet.metrics.seam import REACH_PX, seam
from tests.metrics.samples import Images, noisy, pictures


def _square(side: int, low: int, high: int, count: int = 1) -> Images:
    mask = np.zeros((count, side, side), np.uint8)
    mask[:, low:high, low:high] = 1
    return mask


def _composite(real: Images, fill: NDArray[np.generic], mask: Images) -> Images:
    return np.where(mask[..., None] > 0, np.clip(fill, 0, 255), real).astype(np.uint8)


def _literal(fake: Images, real: Images, mask: Images) -> float:
    """Pair by pair: the step, its mean along the border, its size in the result less that in the truth."""
    sizes: list[list[NDArray[np.float64]]] = [[], []]
    for of_picture, picture in zip(sizes, (fake.astype(int), real.astype(int)), strict=True):
        for dy, dx in ((0, 1), (0, -1), (1, 0), (-1, 0)):
            steps = {}
            for y, x in zip(*np.nonzero(mask), strict=True):
                v, u = y + dy, x + dx
                if 0 <= v < mask.shape[0] and 0 <= u < mask.shape[1] and not mask[v, u]:
                    steps[y, x] = picture[y, x] - picture[v, u]
            for y, x in steps:
                reach = range(-REACH_PX, REACH_PX + 1)
                near = [steps[p] for i in reach if (p := (y + i, x) if dx else (y, x + i)) in steps]
                of_picture.append(np.abs(np.mean(near, axis=0)))
    return float(np.maximum(np.array(sizes[0]) - np.array(sizes[1]), 0).mean() / 255)


@pytest.mark.parametrize("seed", range(4))
def test_seam_against_its_definition(seed: int) -> None:
    real = pictures(2, 24, 30, seed)
    mask = np.zeros((2, 24, 30), np.uint8)
    mask[0, 6:18, 8:22] = 1
    mask[1] = np.random.default_rng(seed).random((24, 30)) < 0.3  # borders everywhere, gaps in them, the picture's edge too
    fake = _composite(real, noisy(real, 40, seed).astype(int) + 20, mask)
    expected = [_literal(fake[i], real[i], mask[i]) for i in range(2)]
    assert min(expected) > 0
    np.testing.assert_allclose(seam(fake, real, mask), expected, rtol=1e-12)


@pytest.mark.parametrize("offset", [-90, -1, 1, 40])
def test_seam_of_a_flat_picture_is_the_offset_in_its_hole(offset: int) -> None:
    real, mask = np.full((1, 32, 32, 3), 100, np.uint8), _square(32, 8, 24)
    assert seam(_composite(real, real.astype(int) + offset, mask), real, mask)[0] == pytest.approx(
        abs(offset) / 255, rel=1e-12
    )


def test_seam_of_an_offset_in_one_channel_is_its_share() -> None:
    real, mask = np.full((1, 32, 32, 3), 100, np.uint8), _square(32, 8, 24)
    assert seam(_composite(real, real + np.array([30, 0, 0]), mask), real, mask)[0] == pytest.approx(10 / 255, rel=1e-12)


def test_seam_of_an_offset_on_one_side_counts_by_that_sides_length() -> None:
    real, mask = np.full((1, 20, 32, 3), 100, np.uint8), np.zeros((1, 20, 32), np.uint8)
    mask[:, 8:, 8:28] = 1  # a hole at the picture's edge: a border of 20 above, 12 left, 12 right
    fill = real.astype(int)
    fill[:, 8:, 27] += 44  # the whole right border, and the last pair of the upper one
    top = sum(44 / pairs for pairs in range(5, 10))  # means over 9 pairs and fewer that hold that one
    assert seam(_composite(real, fill, mask), real, mask)[0] == pytest.approx((12 * 44 + top) / 44 / 255, rel=1e-12)


def test_seam_of_the_truth_is_zero() -> None:
    real = pictures(3, 32, 32)
    assert not seam(real, real, _square(32, 8, 24, 3)).any()


def test_seam_is_blind_to_what_lies_deeper_in_the_hole() -> None:
    real, mask = pictures(1, 32, 32), _square(32, 8, 24)
    fake = _composite(real, real.astype(int) + 25, mask)
    other = fake.copy()
    other[:, 9:23, 9:23] = np.random.default_rng(0).integers(0, 256, (1, 14, 14, 3))
    assert seam(other, real, mask)[0] == seam(fake, real, mask)[0] > 0


def test_seam_tells_an_edge_from_texture_of_the_same_size() -> None:
    """On a ring of pixels that are 40 off: all in one direction, and to and fro."""
    real, mask = np.full((1, 64, 64, 3), 100, np.uint8), _square(64, 16, 48)
    to_and_fro = 40 * (2 * (np.indices((64, 64)).sum(axis=0) % 2) - 1)[None, :, :, None]
    edge, texture = (
        seam(_composite(real, real.astype(int) + off, mask), real, mask)[0] for off in (np.array(40), to_and_fro)
    )
    assert edge == pytest.approx(40 / 255)
    assert 0 < texture < edge / 5


def test_seam_grows_with_the_edge_and_a_mean_fill_has_one() -> None:
    real, mask = pictures(4, 64, 64), _square(64, 16, 48, 4)
    values = [seam(_composite(real, real.astype(int) + off, mask), real, mask).mean() for off in (5, 15, 45)]
    assert values[0] < values[1] < values[2]
    mean = np.broadcast_to(real.mean(axis=(1, 2), keepdims=True), real.shape)
    assert np.all(seam(_composite(real, mean, mask), real, mask) > 0)


def test_seam_does_not_reward_a_border_that_is_softer_than_the_truths() -> None:
    """The truth has an edge just there; a fill that goes on in the outside's colour has none."""
    real, mask = np.full((1, 32, 32, 3), 100, np.uint8), _square(32, 8, 24)
    real[:, 8:24, 8:24] = 180
    assert seam(np.full_like(real, 100), real, mask)[0] == 0


@pytest.mark.parametrize("ratio", [0, 1])
def test_seam_without_a_border_is_undefined(ratio: int) -> None:
    real = pictures(2, 16, 16)
    mask = _square(16, 4, 12, 2)
    mask[1] = ratio
    values = seam(noisy(real, 9), real, mask)
    assert np.isfinite(values[0]) and np.isnan(values[1])


def test_seam_refuses_a_mask_of_another_size() -> None:
    real = pictures(1, 16, 16)
    with pytest.raises(ValueError, match="mask has shape"):
        seam(real, real, np.zeros((1, 8, 8), np.uint8))
    assert seam(real[:0], real[:0], np.zeros((0, 16, 16), np.uint8)).shape == (0,)


@settings(max_examples=20, deadline=None, derandomize=True)
@given(seed=st.integers(0, 10_000), order=st.permutations(range(5)), split=st.integers(1, 4), ratio=st.floats(0.01, 0.99))
def test_seam_is_in_its_range_and_turns_with_the_picture_and_knows_no_batch(
    seed: int, order: list[int], split: int, ratio: float
) -> None:
    real = pictures(5, 17, 23, seed)
    mask = (np.random.default_rng(seed).random((5, 17, 23)) < ratio).astype(np.uint8)
    fake = _composite(real, np.random.default_rng(seed).integers(0, 256, real.shape), mask)
    whole = seam(fake, real, mask)
    assert np.all((whole >= 0) & (whole <= 1))
    np.testing.assert_array_equal(seam(fake[order], real[order], mask[order]), whole[order])
    parts = [seam(fake[part], real[part], mask[part]) for part in (slice(split), slice(split, None))]
    np.testing.assert_array_equal(np.concatenate(parts), whole)
    turned = seam(*(np.rot90(images, axes=(1, 2)) for images in (fake, real, mask)))
    np.testing.assert_allclose(turned, whole, rtol=1e-9, atol=1e-12)
