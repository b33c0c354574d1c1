"""A hole carried up to a large picture's own pixels: sharp, from known pixels alone, the same every time."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from pennet.high_resolution import carry_up
from pennet.high_resolution.scale import Scale
from pennet.high_resolution.texture import roughness
from pennet.models.smooth import smooth_fill


def stripes(height: int, width: int, period: float = 16) -> Tensor:
    """Vertical stripes, (3, H, W)."""
    columns = torch.arange(width)
    wave = torch.sin(2 * torch.pi * columns / period)
    return torch.stack([wave, -wave, 0.5 * wave]).mul(0.8)[:, None].expand(-1, height, -1).contiguous()


def square(height: int, width: int, top: int, left: int, side: int) -> Tensor:
    mask = torch.zeros(1, height, width)
    mask[:, top : top + side, left : left + side] = 1
    return mask


def smooth_prediction(image: Tensor, mask: Tensor, factor: int) -> tuple[Tensor, Tensor]:
    """What any method could predict at the small size, and the small hole."""
    hole = F.max_pool2d(mask, factor)
    small = F.avg_pool2d(torch.where(mask > 0, 0.0, image), factor)
    return smooth_fill(small[None], hole[None])[0], hole


@pytest.fixture(scope="module")
def noise() -> Tensor:
    generator = torch.Generator().manual_seed(7)
    return torch.rand(3, 160, 192, generator=generator) * 2 - 1


def test_known_pixels_come_back_untouched_and_the_hole_is_never_seen(noise: Tensor) -> None:
    mask = square(160, 192, 50, 60, 41)
    prediction, _ = smooth_prediction(noise, mask, 4)
    filled = carry_up(noise, mask, prediction, None)
    assert torch.equal(filled[:, mask[0] == 0], noise[:, mask[0] == 0])
    assert torch.equal(filled, carry_up(torch.where(mask > 0, torch.nan, noise), mask, prediction, None))
    assert filled.abs().max() <= 1


def test_stripes_go_on_at_the_full_resolution() -> None:
    image, mask = stripes(192, 192), square(192, 192, 70, 63, 50)
    prediction, _ = smooth_prediction(image, mask, 4)
    filled = carry_up(image, mask, prediction, None)
    error = (filled - image).abs()[:, mask[0] > 0]
    enlarged = F.interpolate(prediction[None], scale_factor=4, mode="bilinear")[0]
    assert error.mean() < 0.01
    assert (enlarged - image).abs()[:, mask[0] > 0].mean() > 0.1


@pytest.mark.parametrize("given", [True, False])
def test_a_pattern_that_comes_again_goes_on_exactly(given: bool) -> None:
    """Noise that comes again every 64 px: the hole's content stands at full resolution in every other tile."""
    tile = torch.rand(3, 64, 64, generator=torch.Generator().manual_seed(3)) * 2 - 1
    image, mask = tile.repeat(1, 3, 3), square(192, 192, 76, 78, 40)
    small, hole = smooth_prediction(image, mask, 4)
    lines, columns = torch.meshgrid(torch.arange(48), torch.arange(48), indexing="ij")
    sources = torch.stack([torch.where(hole[0] > 0, lines - 16, lines), columns])
    prediction = small.roll(16, dims=1) if given else small
    filled = carry_up(image, mask, prediction, sources if given else None)
    assert (filled - image).abs().max() < 1e-3


@pytest.mark.parametrize("given", [True, False])
def test_a_constant_picture_stays_constant(given: bool) -> None:
    image, mask = torch.full((3, 96, 96), 0.25), square(96, 96, 40, 30, 20)
    prediction, _ = smooth_prediction(image, mask, 2)
    own = torch.stack(torch.meshgrid(torch.arange(48), torch.arange(48), indexing="ij"))  # a flat picture names itself
    assert torch.allclose(carry_up(image, mask, prediction, own if given else None), image, atol=1e-5)


def test_of_the_same_size_it_is_the_composite(noise: Tensor) -> None:
    mask = square(160, 192, 50, 60, 41)
    prediction = noise.flip(1)
    assert torch.equal(carry_up(noise, mask, prediction, None), torch.where(mask > 0, prediction, noise))


def test_it_gives_the_same_every_time_and_leaves_the_global_generator_alone(noise: Tensor) -> None:
    mask = square(160, 192, 50, 60, 41)
    prediction, _ = smooth_prediction(noise, mask, 2)
    state = torch.random.get_rng_state()
    first = carry_up(noise, mask, prediction, None)
    assert torch.equal(torch.random.get_rng_state(), state)
    torch.rand(3)
    assert torch.equal(first, carry_up(noise, mask, prediction, None))


@pytest.mark.parametrize(("height", "width", "factor"), [(148, 100, 4), (57, 95, 1), (136, 264, 8), (94, 202, 2)])
def test_sides_are_any_multiple_of_the_factor(height: int, width: int, factor: int) -> None:
    image = stripes(height, width)
    mask = square(height, width, 0, width - 12, 12)  # in the picture's corner
    prediction, _ = smooth_prediction(image, mask, factor)
    filled = carry_up(image, mask, prediction, None)
    assert filled.shape == image.shape
    assert filled.isfinite().all()


def test_with_nothing_to_copy_the_prediction_is_enlarged() -> None:
    image, mask = stripes(32, 32), square(32, 32, 2, 2, 28)
    prediction = torch.full((3, 16, 16), 0.5)
    filled = carry_up(image, mask, prediction, None)
    assert torch.allclose(filled[:, 8:24, 8:24], torch.tensor(0.5))
    assert torch.equal(filled[:, mask[0] == 0], image[:, mask[0] == 0])


def test_sizes_that_do_not_fit_are_refused(noise: Tensor) -> None:
    mask = square(160, 192, 50, 60, 41)
    for small in (noise[:, :50, :60], noise[:, ::3, ::3], noise[:, :80, :97]):
        with pytest.raises(ValueError, match="not a power of two times"):
            carry_up(noise, mask, small, None)


def test_the_patch_most_alike_is_that_of_a_search_one_by_one(noise: Tensor) -> None:
    values, hole = noise[:, :40, :44], square(40, 44, 15, 15, 8) > 0
    scale = Scale(values, hole)
    found = scale.most_alike(scale.queries)
    weights = F.pad(torch.where(hole, 0.1, 1.0), (3,) * 4)[0]
    padded = F.pad(values, (3,) * 4)
    known = F.pad((~hole).float(), (3,) * 4)[0]
    for query, place in list(zip(scale.queries.tolist(), found.tolist(), strict=True))[::17]:
        y, x = (int(v) for v in scale.line_and_column(torch.tensor(query)))
        apart = {}
        for v in range(40):
            for u in range(44):
                if known[v : v + 7, u : u + 7].all():
                    step = padded[:, y : y + 7, x : x + 7] - padded[:, v : v + 7, u : u + 7]
                    apart[v, u] = float((step.square() * weights[y : y + 7, x : x + 7]).sum())
        v, u = (int(number) for number in scale.line_and_column(torch.tensor(place)))
        assert apart[v, u] <= min(apart.values()) + 1e-4


def test_roughness_is_that_of_the_known_part() -> None:
    image = stripes(24, 24, period=4) * 1.0
    image[:, 8:16, 8:16] = 100.0
    rough = roughness(image, square(24, 24, 8, 8, 8))
    steps = image.mean(dim=0)[0, 4:8].diff().abs()
    assert rough[0, 3:6, 3:20].max() <= 7 * steps.max() + 1e-5
    assert rough[1, 3:6].abs().max() < 1e-5  # along a stripe nothing changes


def test_memory_is_bounded() -> None:
    """A hole of 200 x 200 px in a window of 1,024 x 1,024; another process, because peaks do not go away."""
    code = """
from pathlib import Path
import torch
from pennet.high_resolution import carry_up
def peak(): return int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0]) / 1024
image = torch.rand(3, 1024, 1024, generator=torch.Generator().manual_seed(0)) * 2 - 1
mask = torch.zeros(1, 1024, 1024)
mask[:, 300:500, 300:500] = 1
before = peak()
carry_up(image, mask, torch.zeros(3, 128, 128), None)
print(peak() - before)
"""
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=280, check=True)
    assert float(out.stdout) < 400
