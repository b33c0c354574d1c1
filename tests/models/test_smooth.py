"""The smooth guess against what must come back from pictures that are known in closed form."""

import pytest
import torch

from pennet.models.smooth import smooth_fill
from tests.models.literal import holes

ALL_HOLES = torch.cat([mask for name, mask in holes().items() if name != "all"]).float()


def test_known_pixels_come_back_to_the_bit_and_the_hole_is_never_seen() -> None:
    image = torch.rand(len(ALL_HOLES), 3, 64, 64, generator=torch.Generator().manual_seed(0)) * 2 - 1
    spoilt = torch.where(ALL_HOLES > 0, float("nan"), image)
    filled = smooth_fill(spoilt, ALL_HOLES)
    assert torch.equal(filled, smooth_fill(image, ALL_HOLES))
    known = (ALL_HOLES == 0).expand_as(image)
    assert torch.equal(filled[known], image[known])
    assert filled.abs().max() <= 1


def test_a_constant_picture_stays_constant() -> None:
    image = torch.tensor([-0.9, 0.1, 0.7]).view(1, 3, 1, 1).expand(len(ALL_HOLES), 3, 64, 64)
    assert (smooth_fill(image, ALL_HOLES) - image).abs().max() < 1e-6


@pytest.mark.parametrize("side", [(6, 10), (7, 9), (1, 1), (1, 5), (48, 36), (12, 7)])
def test_sides_may_be_odd(side: tuple[int, int]) -> None:
    image, mask = torch.full((2, 3, *side), 0.3), torch.zeros(2, 1, *side)
    mask[0, :, side[0] // 3 : side[0] // 2 + 1, side[1] // 3 : side[1] // 2 + 1] = 1
    filled = smooth_fill(image, mask)
    if min(side) > 1:
        assert (filled - image).abs().max() < 1e-6
    assert torch.equal(filled[1], image[1])
    assert filled.isfinite().all()


def test_a_ramp_is_nearly_kept_across_a_small_hole() -> None:
    """Known values on both sides of a hole of 8 px differ by 0.29; their mean alone would be off by 0.14 at its border."""
    ramp = torch.linspace(-1, 1, 64).expand(1, 3, 64, 64)
    mask = torch.zeros(1, 1, 64, 64)
    mask[..., 28:36, 28:36] = 1
    for image in (ramp, ramp.transpose(2, 3)):
        filled = smooth_fill(image, mask)
        assert (filled - image).abs().max() < 0.07
        assert (filled - filled.roll(1, 3))[..., 1:].abs().max() < 0.15


def test_a_lost_picture_is_grey_and_leaves_its_neighbours_alone() -> None:
    image = torch.full((2, 3, 16, 16), float("nan"))
    image[1] = 0.5
    mask = torch.ones(2, 1, 16, 16)
    mask[1, :, 4:] = 0
    filled = smooth_fill(image, mask)
    assert not filled[0].any()
    assert torch.allclose(filled[1], torch.tensor(0.5), atol=1e-6)


def test_one_known_pixel_of_a_large_picture_fills_it() -> None:
    image, mask = torch.full((1, 3, 2048, 2048), 9.0), torch.ones(1, 1, 2048, 2048)
    image[..., 700, 900], mask[..., 700, 900] = 0.5, 0
    assert torch.allclose(smooth_fill(image, mask), torch.tensor(0.5), atol=1e-4)
