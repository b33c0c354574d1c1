"""The PEN-Net that fills the picture itself, on pictures that say where each pixel comes from."""

from functools import partial

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from pennet.models.pennet import PENNet
from pennet.models.pyramid import holed_pyramid
from tests.models.literal import holes

COPYING = {"full_resolution": True, "fills": ("features", "picture"), "affinity": "picture", "patch_sizes": (5, 3)}
FINEST = pytest.mark.parametrize("finest_attention", [1, 2, 3])


def untrained(**changes) -> PENNet:
    """One that shows its copy."""
    torch.manual_seed(0)
    values = {"num_levels": 3, "base_width": 4, "dilations": (1, 2), "valid_threshold": 0.0} | COPYING | changes
    generator = PENNet(**values).eval()
    generator.start_from_copy()
    return generator


def noise(batch: int, channels: int, height: int, width: int) -> Tensor:
    """Every pixel is another."""
    return torch.rand(batch, channels, height, width, generator=torch.Generator().manual_seed(0)) * 2 - 1


def twins(height: int, width: int) -> Tensor:
    """A picture with structure of all sizes, twice, side by side."""
    random = torch.Generator().manual_seed(0)
    layers = (torch.randn(1, 3, height // n, width // n, generator=random) for n in (16, 8, 4, 2, 1))
    one = sum(F.interpolate(layer, (height, width), mode="bilinear") for layer in layers)
    return torch.cat([one, one], dim=3) / one.abs().max()


def psnr(picture: Tensor, truth: Tensor, mask: Tensor) -> float:
    hole = (mask > 0).expand_as(truth)
    return float(10 * torch.log10(4 / (picture - truth)[hole].square().mean()))


@pytest.mark.parametrize("num_levels", [3, 4])
@pytest.mark.parametrize("affinity", ["picture", "cosine", "euclidean"])
@FINEST
def test_an_untrained_generator_shows_its_copy(affinity: str, finest_attention: int, num_levels: int) -> None:
    generator = untrained(affinity=affinity, finest_attention=finest_attention, num_levels=num_levels)
    image, mask = noise(2, 3, 48, 80), torch.zeros(2, 1, 48, 80)
    mask[0, :, 13:30, 21:50] = 1
    mask[1, :, :9, 60:] = 1
    with torch.inference_mode():
        shown = generator(image, mask).image
        copy = generator._filled_pyramid(image, mask, None)[0]["picture"].values
    assert torch.equal(shown, copy.clamp(-1, 1))
    assert torch.equal(shown[(mask == 0).expand_as(image)], image[(mask == 0).expand_as(image)])


@pytest.mark.parametrize("period", [(8, 8), (4, 8), (2, 4), (8, 1)])
@pytest.mark.parametrize("size", [(64, 64), (64, 96)])
@pytest.mark.parametrize("fills", [("features", "picture"), ("picture",)])
@FINEST
def test_a_periodic_texture_is_restored(
    finest_attention: int, fills: tuple[str, ...], size: tuple[int, int], period: tuple[int, int]
) -> None:
    image = noise(1, 3, *period).repeat(1, 1, size[0] // period[0], size[1] // period[1])
    mask = torch.zeros(1, 1, *size)
    mask[..., 19:45, 22:41] = 1
    with torch.inference_mode():
        shown = untrained(finest_attention=finest_attention, fills=fills)(image, mask, 1e4).image
    assert psnr(shown, image, mask) > 100
    assert psnr(torch.zeros_like(image), image, mask) < 15


@FINEST
def test_a_hole_in_one_of_two_twins_is_copied_from_the_other(finest_attention: int) -> None:
    image, mask = twins(64, 64), torch.zeros(1, 1, 64, 128)
    mask[..., 21:43, 86:105] = 1
    generator = untrained(finest_attention=finest_attention)
    with torch.inference_mode():
        shown, sources = generator(image, mask, 1e4).image, generator.sources(image, mask, 1e4)
    line, column = torch.meshgrid(torch.arange(64.0), torch.arange(128.0), indexing="ij")
    assert torch.equal(sources[0, 0], line)
    assert torch.equal(sources[0, 1], torch.where(mask[0, 0] > 0, column - 64, column))
    assert torch.equal(shown, image)


@pytest.mark.parametrize("finest_attention", [2, 3])
def test_a_pixel_is_the_one_at_its_source_where_a_cell_is_copied_as_it_stands(
    finest_attention: int, copies_as_they_stand: None
) -> None:
    image, mask = noise(2, 3, 64, 64), torch.zeros(2, 1, 64, 64)
    mask[0, :, 16:41, 16:37] = 1
    mask[1, :, 30:, :21] = 1
    generator = untrained(finest_attention=finest_attention)
    with torch.inference_mode():
        copy, sources = generator(image, mask, 1e6).image, generator.sources(image, mask, 1e6)
    line, column = sources.long().unbind(dim=1)
    there = torch.stack([image[b, :, line[b], column[b]] for b in range(2)])
    cell = 2**finest_attention
    # The outermost pixels of a cell are overlapped by the patches of its neighbours.
    middle = torch.arange(64) % cell % (cell - 1) > 0
    inner = (mask > 0) & middle & middle[:, None]
    assert inner.sum() > 100
    torch.testing.assert_close(*(x[inner.expand_as(x)] for x in (copy, there)), atol=1e-4, rtol=0)
    assert not mask[torch.arange(2)[:, None, None], 0, line, column][inner[:, 0]].any()
    own = torch.stack(torch.meshgrid(torch.arange(64.0), torch.arange(64.0), indexing="ij")).expand_as(sources)
    assert torch.equal((sources == own).all(dim=1, keepdim=True), mask == 0)


def test_a_cell_is_a_hole_as_soon_as_one_of_its_pixels_is() -> None:
    mask = holes()["irregular"].float()
    pyramid = holed_pyramid(noise(1, 3, 64, 64), mask, 4)
    for scale, (values, hole) in enumerate(pyramid):
        side = 2**scale
        cells = partial(torch.nn.functional.unfold, kernel_size=side, stride=side)
        assert torch.equal(hole.flatten(), cells(mask)[0].amax(dim=0) > 0)
        for channel in range(3):
            mean = cells(noise(1, 3, 64, 64)[:, channel : channel + 1])[0].mean(dim=0)
            torch.testing.assert_close(values[0, channel].flatten(), mean, atol=1e-6, rtol=0)
