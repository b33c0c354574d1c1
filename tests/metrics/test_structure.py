import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pytorch_msssim import ms_ssim as reference_ms_ssim
from pytorch_msssim.ssim import _fspecial_gauss_1d, _ssim
from skimage.metrics import structural_similarity
from torch.nn.functional import avg_pool2d

from pennet.metrics.structure import MS_SSIM, SCALE_WEIGHTS, ms_ssim_variant, num_scales, ssim, structure
from tests.metrics.samples import Images, noisy, pictures

TOLERANCE = 1e-4


def _scikit_image(fake: Images, real: Images) -> list[float]:
    options = {
        "channel_axis": -1,
        "gaussian_weights": True,
        "use_sample_covariance": False,
        "data_range": 255,
    }
    return [structural_similarity(a, b, **options) for a, b in zip(fake, real, strict=True)]


def _torch(images: Images) -> torch.Tensor:
    return torch.from_numpy(images).permute(0, 3, 1, 2).double() / 255


@pytest.mark.parametrize("sigma", [5, 40])
@pytest.mark.parametrize(("height", "width"), [(64, 64), (128, 128), (176, 176), (256, 256), (33, 57), (11, 12)])
def test_ssim_against_scikit_image(height: int, width: int, sigma: float) -> None:
    real = pictures(2, height, width)
    fake = noisy(real, sigma)
    np.testing.assert_allclose(ssim(fake, real), _scikit_image(fake, real), atol=TOLERANCE)
    np.testing.assert_allclose(structure(fake, real).ssim, ssim(fake, real), atol=1e-12)


@pytest.mark.parametrize("sigma", [5, 40])
@pytest.mark.parametrize(("height", "width"), [(176, 176), (256, 256), (161, 161), (255, 201), (177, 256)])
def test_ms_ssim_against_pytorch_msssim(height: int, width: int, sigma: float) -> None:
    real = pictures(2, height, width)
    fake = noisy(real, sigma)
    expected = reference_ms_ssim(_torch(fake), _torch(real), data_range=1.0, size_average=False)
    np.testing.assert_allclose(structure(fake, real).ms_ssim, expected.numpy(), atol=TOLERANCE)


@pytest.mark.parametrize(("side", "scales"), [(64, 3), (128, 4), (160, 4), (65, 3), (40, 2), (16, 1)])
def test_ms_ssim_of_small_images_against_pytorch_msssim_scale_by_scale(side: int, scales: int) -> None:
    """Its `ms_ssim` refuses sides up to 160 px, so its single-scale parts are put together here."""
    real = pictures(2, side, side)
    fake = noisy(real, 20)
    x, y = _torch(fake), _torch(real)
    window = _fspecial_gauss_1d(11, 1.5).double().repeat(3, 1, 1, 1)
    window /= window.sum(dim=-1, keepdim=True)
    expected = torch.ones(2, 3, dtype=torch.float64)
    for scale in range(scales):
        similarity, contrast_structure = _ssim(x, y, 1.0, window)
        factor = similarity if scale == scales - 1 else contrast_structure
        expected *= factor.relu() ** (SCALE_WEIGHTS[scale] / sum(SCALE_WEIGHTS[:scales]))
        x, y = (avg_pool2d(images, 2, padding=images.shape[-1] % 2) for images in (x, y))
    np.testing.assert_allclose(structure(fake, real).ms_ssim, expected.mean(dim=1).numpy(), atol=TOLERANCE)


@pytest.mark.parametrize(
    ("side", "name"),
    [(10, "ms_ssim"), (64, "ms_ssim_3"), (128, "ms_ssim_4"), (160, "ms_ssim_4"), (161, "ms_ssim"), (512, "ms_ssim")],
)
def test_ms_ssim_name_says_how_many_scales(side: int, name: str) -> None:
    assert MS_SSIM.of(ms_ssim_variant(side)).key == name


def test_num_scales_refuses_images_smaller_than_the_window() -> None:
    with pytest.raises(ValueError, match="at least 11 px, got 10x64"):
        num_scales(10, 64)


def test_ssim_of_constant_images_is_the_closed_form() -> None:
    for a in range(0, 256, 5):
        for b in (0, a, 128, 255):
            fake, real = np.full((1, 16, 16, 3), a, np.uint8), np.full((1, 16, 16, 3), b, np.uint8)
            x, y = a / 255, b / 255
            expected = (2 * x * y + 1e-4) / (x * x + y * y + 1e-4)  # no variance: luminance alone
            assert ssim(fake, real)[0] == pytest.approx(expected, abs=1e-6)


def test_ssim_of_flat_areas_at_the_extremes_against_scikit_image() -> None:
    for step in range(8, 60, 9):
        real = np.zeros((1, 64, 64, 3), np.uint8)
        real[:, :, step:] = 255
        fake = np.where(real > 0, real - step, real + 60 - step).astype(np.uint8)
        np.testing.assert_allclose(ssim(fake, real), _scikit_image(fake, real), atol=TOLERANCE)


def test_structure_of_identical_images_is_one() -> None:
    for real in (
        pictures(1, 176, 176),
        np.full((1, 176, 176, 3), 128, np.uint8),
        np.zeros((1, 176, 176, 3), np.uint8),
    ):
        result = structure(real, real)
        assert (result.ssim[0], result.ms_ssim[0]) == (1, 1)


def test_structure_of_grey_images_against_scikit_image() -> None:
    real = pictures(1, 64, 64)[..., :1]
    fake = noisy(real, 20)
    np.testing.assert_allclose(ssim(fake, real), _scikit_image(fake, real), atol=TOLERANCE)


def test_structure_of_an_inverted_image_is_clipped_at_zero() -> None:
    real = pictures(1, 64, 64)
    result = structure(255 - real, real)
    assert result.ssim[0] < 0
    assert result.ms_ssim[0] == 0


@settings(max_examples=12, deadline=None, derandomize=True)
@given(seed=st.integers(0, 10_000), height=st.integers(11, 190), width=st.integers(11, 190))
def test_structure_of_a_picture_and_itself_is_one_and_of_its_neighbour_no_more(seed: int, height: int, width: int) -> None:
    """One pixel that is off by one changes less than the arithmetic rounds: it must not come out above 1."""
    real = pictures(1, height, width, seed)
    assert structure(real, real) == (1, 1)
    neighbour = real.copy()
    neighbour[0, 0, 0, 0] ^= 1
    assert max(structure(neighbour, real).ssim[0], structure(neighbour, real).ms_ssim[0]) <= 1


@settings(max_examples=12, deadline=None, derandomize=True)
@given(seed=st.integers(0, 10_000), height=st.integers(11, 70), width=st.integers(11, 70))
def test_structure_is_symmetric(seed: int, height: int, width: int) -> None:
    real = pictures(1, height, width, seed)
    fake = noisy(real, 30, seed)
    np.testing.assert_allclose(structure(fake, real), structure(real, fake), atol=1e-6)


@settings(max_examples=12, deadline=None, derandomize=True)
@given(seed=st.integers(0, 10_000), low=st.floats(3, 15), factor=st.floats(1.5, 4))
def test_structure_gets_worse_with_noise(seed: int, low: float, factor: float) -> None:
    real = pictures(1, 64, 64, seed)
    little, much = (structure(noisy(real, sigma, seed), real) for sigma in (low, low * factor))
    assert little.ssim[0] > much.ssim[0]
    assert little.ms_ssim[0] > much.ms_ssim[0]


@settings(max_examples=8, deadline=None, derandomize=True)
@given(seed=st.integers(0, 10_000), order=st.permutations(range(4)), split=st.integers(1, 3))
def test_structure_does_not_depend_on_batches_or_order(seed: int, order: list[int], split: int) -> None:
    real = pictures(4, 48, 48, seed)
    fake = noisy(real, 20, seed)
    whole = np.array(structure(fake, real))
    np.testing.assert_array_equal(structure(fake[order], real[order]), whole[:, order])
    parts = [structure(fake[:split], real[:split]), structure(fake[split:], real[split:])]
    np.testing.assert_array_equal(np.concatenate(parts, axis=1), whole)
