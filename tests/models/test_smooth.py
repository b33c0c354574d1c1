"""The smooth guess against pictures that are known in closed form, and against the Laplace equation."""

import pytest
import torch
from scipy.sparse import dok_array
from scipy.sparse.linalg import spsolve
from torch import Tensor

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


@pytest.mark.parametrize("name", [name for name in holes() if name not in ("none", "all")])
def test_it_is_nearly_the_membrane(name: str) -> None:
    """Against the Laplace equation solved exactly, between known pixels of white noise, which differ the most; cells and
    interpolation alone are up to 0.16 off, and 0.09 beside a single pixel."""
    image = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 2 - 1
    mask = holes()[name]
    error = (smooth_fill(image, mask) - membrane(image[0], mask[0, 0])).abs()[(mask > 0).expand_as(image)]
    assert error.mean() < {"pixel": 1e-9, "starved": 0.01}.get(name, 0.065)


def membrane(image: Tensor, mask: Tensor) -> Tensor:
    """(C, H, W), (H, W) -> (C, H, W): each hole pixel is the mean of its neighbours."""
    height, width = mask.shape
    lines, columns = mask.nonzero(as_tuple=True)
    numbers = torch.full((height, width), -1)
    numbers[lines, columns] = torch.arange(len(lines))
    of_all, of_known = dok_array((len(lines), len(lines))), torch.zeros(len(lines), len(image), dtype=image.dtype)
    for n, (y, x) in enumerate(zip(lines.tolist(), columns.tolist(), strict=True)):
        for v, u in ((y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)):
            if 0 <= v < height and 0 <= u < width:
                of_all[n, n] += 1
                if mask[v, u]:
                    of_all[n, int(numbers[v, u])] -= 1
                else:
                    of_known[n] += image[:, v, u]
    filled = image.clone()
    solved = spsolve(of_all.tocsc(), of_known.numpy()).reshape(len(lines), len(image))
    filled[:, lines, columns] = torch.from_numpy(solved).T
    return filled
