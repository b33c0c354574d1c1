import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.metrics import peak_signal_noise_ratio

from pennet.metrics.pixel import l1, l1_hole, l1_relative, psnr
from tests.metrics.samples import noisy, pictures

SIZES = [(64, 64), (128, 128), (176, 176), (256, 256), (33, 57)]


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_l1_against_its_definition(height: int, width: int) -> None:
    real = pictures(3, height, width)
    fake = noisy(real, 25)
    for i in range(3):
        a, b = fake[i] / 255.0, real[i] / 255.0
        assert l1(fake, real)[i] == pytest.approx(np.mean(np.abs(a - b)), abs=1e-6)
        a, b = fake[i].astype(float), real[i].astype(float)
        assert l1_relative(fake, real)[i] == pytest.approx(np.abs(a - b).sum() / (a + b).sum(), abs=1e-6)


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_psnr_against_scikit_image(height: int, width: int) -> None:
    real = pictures(3, height, width)
    fake = noisy(real, 25)
    expected = [peak_signal_noise_ratio(real[i], fake[i], data_range=255) for i in range(3)]
    np.testing.assert_allclose(psnr(fake, real), expected, atol=1e-6)


def test_l1_hole_against_its_definition() -> None:
    real = pictures(2, 48, 64)
    fake = noisy(real, 25)
    mask = np.zeros((2, 48, 64), np.uint8)
    mask[0, 5:20, 7:30] = 1
    mask[1, 40:, :] = 1
    for i in range(2):
        difference = np.abs(fake[i] / 255.0 - real[i] / 255.0)[mask[i] == 1]
        assert l1_hole(fake, real, mask)[i] == pytest.approx(difference.mean(), abs=1e-6)


def test_l1_hole_of_an_empty_hole_is_undefined() -> None:
    real = pictures(1, 16, 16)
    assert np.isnan(l1_hole(noisy(real, 5), real, np.zeros((1, 16, 16), np.uint8)))[0]


@settings(max_examples=20, deadline=None, derandomize=True)
@given(seed=st.integers(0, 10_000), ratio=st.floats(0.05, 1), sigma=st.floats(1, 80))
def test_l1_hole_depends_on_the_hole_alone(seed: int, ratio: float, sigma: float) -> None:
    real = pictures(2, 20, 24, seed)
    mask = (np.random.default_rng(seed).random((2, 20, 24)) < ratio).astype(np.uint8)
    fake = noisy(real, sigma, seed)
    elsewhere = np.where(mask[..., None] == 1, fake, noisy(real, 90, seed + 1)).astype(np.uint8)
    np.testing.assert_array_equal(l1_hole(elsewhere, real, mask), l1_hole(fake, real, mask))


def test_l1_hole_ignores_known_pixels() -> None:
    real = pictures(1, 16, 16)
    mask = np.zeros((1, 16, 16), np.uint8)
    mask[0, :4, :4] = 1
    fake = np.where(mask[..., None] == 1, real, 255 - real).astype(np.uint8)
    assert l1_hole(fake, real, mask)[0] == 0


def test_l1_hole_refuses_a_mask_of_another_size() -> None:
    real = pictures(1, 16, 16)
    with pytest.raises(ValueError, match="mask has shape"):
        l1_hole(real, real, np.zeros((1, 8, 8), np.uint8))


def test_psnr_of_identical_images_is_infinite() -> None:
    real = pictures(2, 16, 16)
    assert np.all(np.isposinf(psnr(real, real)))


def test_metrics_of_no_images_are_no_values() -> None:
    none = pictures(1, 16, 16)[:0]
    for metric in (l1, l1_relative, psnr):
        assert metric(none, none).shape == (0,)


def test_metrics_of_black_against_white_are_the_extremes() -> None:
    black, white = np.zeros((1, 16, 16, 3), np.uint8), np.full((1, 16, 16, 3), 255, np.uint8)
    assert l1(black, white)[0] == l1_relative(black, white)[0] == 1
    assert psnr(black, white)[0] == 0
    assert l1_relative(black, black)[0] == 0


def test_metrics_refuse_floats_and_different_shapes() -> None:
    real = pictures(1, 16, 16)
    with pytest.raises(ValueError, match="expected uint8"):
        l1(real / 255, real)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="differ in shape"):
        psnr(real[:, :8], real)


@settings(max_examples=25, deadline=None, derandomize=True)
@given(seed=st.integers(0, 10_000), size=st.integers(1, 40), sigma=st.floats(0, 80))
def test_metrics_are_symmetric_and_zero_for_identity(seed: int, size: int, sigma: float) -> None:
    real = pictures(2, size, size, seed)
    fake = noisy(real, sigma, seed)
    for metric in (l1, l1_relative, psnr):
        np.testing.assert_array_equal(metric(fake, real), metric(real, fake))
    for metric in (l1, l1_relative):
        assert np.all(metric(real, real) == 0)
    assert np.all(np.isposinf(psnr(real, real)))


@settings(max_examples=20, deadline=None, derandomize=True)
@given(seed=st.integers(0, 10_000), low=st.floats(2, 20), factor=st.floats(1.5, 4))
def test_metrics_get_worse_with_noise(seed: int, low: float, factor: float) -> None:
    real = pictures(1, 32, 32, seed)
    little, much = noisy(real, low, seed), noisy(real, low * factor, seed)
    assert l1(little, real)[0] < l1(much, real)[0]
    assert l1_relative(little, real)[0] < l1_relative(much, real)[0]
    assert psnr(little, real)[0] > psnr(much, real)[0]


@settings(max_examples=20, deadline=None, derandomize=True)
@given(seed=st.integers(0, 10_000), order=st.permutations(range(5)), split=st.integers(1, 4))
def test_metrics_do_not_depend_on_batches_or_order(seed: int, order: list[int], split: int) -> None:
    real = pictures(5, 20, 20, seed)
    fake = noisy(real, 20, seed)
    for metric in (l1, l1_relative, psnr):
        whole = metric(fake, real)
        np.testing.assert_array_equal(metric(fake[order], real[order]), whole[order])
        parts = [metric(fake[:split], real[:split]), metric(fake[split:], real[split:])]
        np.testing.assert_array_equal(np.concatenate(parts), whole)
