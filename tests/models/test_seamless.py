"""Copies that agree with what is known around a hole, in cases whose answer is known."""

import pytest
import torch
from torch import Tensor

from pennet.models.attention import Holed
from pennet.models.seamless import with_border, without_seam
from tests.models.literal import holed, holes

MASKS = torch.cat([mask for name, mask in holes().items() if name != "all"]).float()


def noise(seed: int) -> Tensor:
    return torch.rand(len(MASKS), 3, 64, 64, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def copied(picture: Holed, copy: Tensor) -> Holed:
    """What attention transfer makes of a picture: a copy in the hole and the line around it, all else untouched."""
    wider = with_border(picture)
    return wider._replace(values=torch.where(wider.hole, copy, picture.values))


def test_the_border_is_the_line_around_the_hole() -> None:
    mask = torch.zeros(1, 1, 8, 8)
    mask[..., 3:5, 6:] = 1
    picture = Holed(torch.zeros(1, 3, 8, 8), mask > 0)
    expected = torch.zeros(1, 1, 8, 8, dtype=torch.bool)
    expected[..., 2:6, 5:] = True
    assert torch.equal(with_border(picture).hole, expected)
    assert with_border(picture).values is picture.values


@pytest.mark.parametrize("error", [0.0, 0.25, -0.5])
def test_a_copy_of_the_right_texture_and_the_wrong_light_is_put_right(error: float) -> None:
    truth = noise(0)
    picture = holed(truth, MASKS)
    result = without_seam(picture, copied(picture, truth + error))
    torch.testing.assert_close(result.values, truth, atol=1e-6, rtol=0)
    assert torch.equal(result.hole, picture.hole)


def test_known_pixels_come_back_to_the_bit_whatever_was_copied() -> None:
    picture = holed(noise(0), MASKS)
    result = without_seam(picture, copied(picture, noise(1))).values
    known = ~picture.hole.expand_as(result)
    assert torch.equal(result[known], picture.values[known])
    assert result.isfinite().all()


def test_what_is_added_lies_between_what_the_border_misses() -> None:
    """A copy that misses 0.1 on the left of a hole and 0.5 on its right gets a ramp from one to the other."""
    mask = torch.zeros(1, 1, 64, 64)
    mask[..., 20:40] = 1  # from edge to edge
    picture, missing = Holed(torch.zeros(1, 3, 64, 64), mask > 0), torch.full((64,), 0.5)
    missing[:30] = 0.1
    added = without_seam(picture, copied(picture, -missing.expand(1, 3, 64, 64))).values + missing
    line = added[0, 0, 30, 20:40]
    assert line.min() >= 0.1
    assert line.max() <= 0.5
    assert (line.diff() >= -1e-6).all()
    assert line[0] < 0.15
    assert line[-1] > 0.45


def test_a_hole_without_a_border_keeps_its_copy() -> None:
    picture = Holed(noise(0), torch.ones(len(MASKS), 1, 64, 64, dtype=torch.bool))
    assert torch.equal(without_seam(picture, copied(picture, noise(1))).values, noise(1))


def test_gradients_pass_to_the_copy_alone() -> None:
    picture = holed(noise(0), MASKS)
    copy = noise(1).requires_grad_()
    without_seam(picture, copied(picture, copy)).values.sum().backward()
    assert torch.equal(copy.grad, picture.hole.float().expand_as(copy))
