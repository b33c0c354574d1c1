"""SSIM and MS-SSIM: luminance, contrast and structure through a gaussian window. One value per image.

The window is 11x11 with sigma 1.5, moments are population moments, borders are cropped (no padding), and
colour is the mean over channels. Work is in float32, one image at a time: at these sizes an image stays in
the processor's cache, and memory does not grow with the number of images.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pennet.metrics.metric import Metric
from pennet.metrics.pixel import Images, Values, check_pair

WINDOW_PX = 11
SIGMA_PX = 1.5
SCALE_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
_C1, _C2 = 0.01**2, 0.03**2
_BORDER_PX = WINDOW_PX // 2

Floats = NDArray[np.float32]


class Structure(NamedTuple):
    ssim: Values
    ms_ssim: Values


def num_scales(height_px: int, width_px: int) -> int:
    """The scales that an image has room for, 5 at most: the window must fit into the coarsest one.

    Raises:
        ValueError: the image is smaller than the window.
    """
    side = min(height_px, width_px)
    if side < WINDOW_PX:
        raise ValueError(f"SSIM needs images of at least {WINDOW_PX} px, got {height_px}x{width_px}")
    return max(k for k in range(1, len(SCALE_WEIGHTS) + 1) if k == 1 or side > (WINDOW_PX - 1) * 2 ** (k - 1))


def ms_ssim_variant(side_px: int) -> str:
    """Empty, or the number of scales where images have room for only so many of the 5: they are not comparable."""
    if side_px < WINDOW_PX:
        return ""
    scales = num_scales(side_px, side_px)
    return "" if scales == len(SCALE_WEIGHTS) else str(scales)


def ssim(fake: Images, real: Images) -> Values:
    """Structural similarity of uint8 batches (N,H,W,C): (N,) in [-1,1], 1 for identical images.

    Source: Wang et al., Image quality assessment: from error visibility to structural similarity, 2004.
    """
    return structure(fake, real, scales=1).ssim


def structure(fake: Images, real: Images, scales: int | None = None) -> Structure:
    """SSIM and MS-SSIM of uint8 batches (N,H,W,C), sharing the finest scale.

    MS-SSIM is the product over scales of contrast-structure (and, at the coarsest, SSIM) to the power of the
    scale's weight, per channel, then the channel mean; negative factors count as 0. The weights of the scales that
    fit are renormalised to sum to 1. `ms_ssim_variant` says what the value is called.

    Args:
        fake: uint8 (N,H,W,C).
        real: uint8 (N,H,W,C).
        scales: how many at most; None: all that fit.

    Raises:
        ValueError: no uint8 batches of the same shape, or images smaller than the window.

    Source: Wang et al., Multiscale structural similarity for image quality assessment, 2003.
    """
    check_pair(fake, real)
    scales = min(num_scales(*fake.shape[1:3]), scales or len(SCALE_WEIGHTS))
    weights = np.array(SCALE_WEIGHTS[:scales]) / sum(SCALE_WEIGHTS[:scales])
    scratch = _Scratch()
    results = [_structure_of_one(a, b, weights, scratch) for a, b in zip(fake, real, strict=True)]
    return Structure(*np.array(results, dtype=np.float64).reshape(-1, 2).T)


class _Scratch:
    """Arrays to compute in, used again for the next image: fresh memory costs as much as the arithmetic on it."""

    def __init__(self) -> None:
        self._arrays: dict[tuple[object, ...], Floats] = {}

    def __call__(self, name: str, shape: tuple[int, ...]) -> Floats:
        key = (name, *shape)
        if key not in self._arrays:
            self._arrays[key] = np.empty(shape, np.float32)
        return self._arrays[key]


class _Similarity(NamedTuple):
    """Means over the image, per channel."""

    ssim: Values
    contrast_structure: Values


def _structure_of_one(
    fake: NDArray[np.uint8], real: NDArray[np.uint8], weights: Values, scratch: _Scratch
) -> tuple[float, float]:
    if np.array_equal(fake, real):
        return 1.0, 1.0  # what the arithmetic below gives but for its rounding
    x = np.multiply(fake, np.float32(1 / 255), out=scratch("fake", fake.shape))
    y = np.multiply(real, np.float32(1 / 255), out=scratch("real", real.shape))
    finest = similarity = _similarity(x, y, scratch)
    product = np.ones(fake.shape[2])
    for scale, weight in enumerate(weights):
        if scale > 0:
            x, y = _halved(x), _halved(y)
            similarity = _similarity(x, y, scratch)
        is_coarsest = scale == len(weights) - 1
        factor = similarity.ssim if is_coarsest else similarity.contrast_structure
        product *= np.maximum(factor, 0) ** weight
    return min(float(finest.ssim.mean()), 1.0), min(float(product.mean()), 1.0)  # rounding alone can exceed 1


def _similarity(x: Floats, y: Floats, scratch: _Scratch) -> _Similarity:
    # (Co)variances are differences of large numbers, but do not change when each image is shifted. Measured from the
    # image's own mean colour they are exact on flat images and within 1e-4 of float64 on all others.
    centre_x, centre_y = _channel_means(x), _channel_means(y)
    x = _shifted(x, -centre_x, scratch("centred x", x.shape))
    y = _shifted(y, -centre_y, scratch("centred y", y.shape))
    mean_x, mean_y = _blurred(x, "mean x", scratch), _blurred(y, "mean y", scratch)
    product = np.multiply(mean_x, mean_y, out=scratch("product", mean_x.shape))
    covariance = _blurred(np.multiply(x, y, out=scratch("x y", x.shape)), "covariance", scratch)
    covariance -= product
    x *= x
    y *= y
    x += y
    variances = _blurred(x, "variances", scratch)  # only the two variances' sum is ever needed: one filter less
    variances -= np.multiply(mean_x, mean_x, out=product)
    variances -= np.multiply(mean_y, mean_y, out=product)
    covariance *= 2
    covariance += np.float32(_C2)
    variances += np.float32(_C2)
    contrast_structure = np.divide(covariance, variances, out=covariance)

    mean_x, mean_y = _shifted(mean_x, centre_x, mean_x), _shifted(mean_y, centre_y, mean_y)
    similarity = np.multiply(mean_x, mean_y, out=product)
    similarity *= 2
    similarity += np.float32(_C1)
    mean_x *= mean_x
    mean_y *= mean_y
    mean_x += mean_y
    mean_x += np.float32(_C1)
    similarity /= mean_x
    similarity *= contrast_structure
    return _Similarity(_channel_means(similarity), _channel_means(contrast_structure))


def _gaussian() -> Floats:
    offsets = np.arange(WINDOW_PX) - _BORDER_PX
    weights = np.exp(-(offsets**2) / (2 * SIGMA_PX**2))
    return (weights / weights.sum()).astype(np.float32)


_GAUSSIAN = _gaussian()


def _blurred(image: Floats, name: str, scratch: _Scratch) -> Floats:
    """The gaussian window's mean at every place where it fits: (H,W,C) to (H-10,W-10,C)."""
    import cv2

    height, width, channels = image.shape
    padded = scratch("blurred", image.shape)
    cv2.sepFilter2D(image, cv2.CV_32F, _GAUSSIAN, _GAUSSIAN, dst=padded, borderType=cv2.BORDER_REFLECT)
    blurred = scratch(name, (height - 2 * _BORDER_PX, width - 2 * _BORDER_PX, channels))
    blurred[...] = padded[_BORDER_PX:-_BORDER_PX, _BORDER_PX:-_BORDER_PX]
    return blurred


def _halved(image: Floats) -> Floats:
    """2x2 means. An odd side gets a row or column of zeros in front, as in pytorch-msssim."""
    import cv2

    height, width, channels = image.shape
    if height % 2 or width % 2:
        image = np.pad(image, ((height % 2, 0), (width % 2, 0), (0, 0)))
    size = (image.shape[1] // 2, image.shape[0] // 2)
    halved: Floats = cv2.resize(image, size, interpolation=cv2.INTER_AREA).astype(np.float32, copy=False)
    return halved.reshape(size[1], size[0], channels)


def _shifted(image: Floats, amounts: Values, out: Floats) -> Floats:
    """Adds one amount per channel, as one row of the image: numpy is slow where the last axis is short."""
    height, width, _ = image.shape
    row = np.tile(amounts.astype(np.float32), width)
    np.add(image.reshape(height, -1), row, out=out.reshape(height, -1))
    return out


def _channel_means(image: Floats) -> Values:
    import cv2

    return np.array(cv2.mean(image)[: image.shape[2]])  # sums in float64, ten times as fast as numpy's mean


SSIM = Metric(
    name="ssim",
    heading="SSIM",
    better="higher",
    range="-1 to 1",
    digits=4,
    needs="pair",
    function=structure,
    min_side_px=WINDOW_PX,
)
MS_SSIM = Metric(
    name="ms_ssim",
    heading="MS-SSIM",
    better="higher",
    range="0 to 1",
    digits=4,
    needs="pair",
    function=structure,
    headline=True,
    min_side_px=WINDOW_PX,
    variants={"": "", "1": "1 scale", "2": "2 scales", "3": "3 scales", "4": "4 scales"},
    choose=lambda config, side_px: [ms_ssim_variant(side_px)],
)
