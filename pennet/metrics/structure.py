"""SSIM and MS-SSIM: luminance, contrast and structure through a gaussian window. One value per image.

The window is 11x11 with sigma 1.5, moments are population moments, borders are cropped (no padding), and
colour is the mean over channels. Work is in float32, one image at a time: at these sizes an image stays in
the processor's cache, and memory does not grow with the number of images.
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

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


def ms_ssim_name(height_px: int, width_px: int) -> str:
    """`ms_ssim`, or `ms_ssim_K` for images with room for only K of the 5 scales: they are not comparable."""
    scales = num_scales(height_px, width_px)
    return "ms_ssim" if scales == len(SCALE_WEIGHTS) else f"ms_ssim_{scales}"


def ssim(fake: Images, real: Images) -> Values:
    """Structural similarity of uint8 batches (N,H,W,C): (N,) in [-1,1], 1 for identical images.

    Source: Wang et al., Image quality assessment: from error visibility to structural similarity, 2004.
    """
    check_pair(fake, real)
    num_scales(*fake.shape[1:3])
    return np.array([_moments(_unit(a), _unit(b)).ssim.mean() for a, b in zip(fake, real, strict=True)])


def structure(fake: Images, real: Images) -> Structure:
    """SSIM and MS-SSIM of uint8 batches (N,H,W,C), sharing the finest scale.

    MS-SSIM is the product over scales of contrast-structure (and, at the coarsest, SSIM) to the power of
    the scale's weight, per channel, then the channel mean; negative factors count as 0. The weights of the
    scales that fit are renormalised to sum to 1. `ms_ssim_name` says what the value is called.

    Source: Wang et al., Multiscale structural similarity for image quality assessment, 2003.
    """
    check_pair(fake, real)
    scales = num_scales(*fake.shape[1:3])
    weights = np.array(SCALE_WEIGHTS[:scales]) / sum(SCALE_WEIGHTS[:scales])
    results = [_structure_of_one(a, b, weights) for a, b in zip(fake, real, strict=True)]
    return Structure(*np.array(results, dtype=np.float64).reshape(-1, 2).T)


class _Similarity(NamedTuple):
    """Means over the image, per channel."""

    ssim: Values
    contrast_structure: Values


def _structure_of_one(fake: NDArray[np.uint8], real: NDArray[np.uint8], weights: Values) -> tuple[float, float]:
    x, y = _unit(fake), _unit(real)
    finest = similarity = _moments(x, y)
    product = np.ones(fake.shape[2])
    for scale, weight in enumerate(weights):
        if scale > 0:
            x, y = _halved(x), _halved(y)
            similarity = _moments(x, y)
        is_coarsest = scale == len(weights) - 1
        factor = similarity.ssim if is_coarsest else similarity.contrast_structure
        product *= np.maximum(factor, 0) ** weight
    return float(finest.ssim.mean()), float(product.mean())


def _moments(x: Floats, y: Floats) -> _Similarity:
    # (Co)variances are differences of large numbers, but do not change when each image is shifted. Measured
    # from the image's own mean colour they are exact on flat images and within 1e-4 of float64 on all others.
    centre_x, centre_y = _channel_means(x), _channel_means(y)
    x, y = _shifted(x, -centre_x), _shifted(y, -centre_y)
    # Everything below is computed in place where it can be: allocation costs as much as arithmetic here.
    energy = x * x
    energy += y * y
    mean_x, mean_y = _blurred(x), _blurred(y)
    covariance = _blurred(x * y)
    covariance -= mean_x * mean_y
    variances = _blurred(energy)  # only the sum of the two variances is ever needed: one filter less
    variances -= mean_x * mean_x
    variances -= mean_y * mean_y
    covariance *= 2
    covariance += np.float32(_C2)
    variances += np.float32(_C2)
    contrast_structure = np.divide(covariance, variances, out=covariance)

    mean_x, mean_y = _shifted(mean_x, centre_x), _shifted(mean_y, centre_y)
    luminance = mean_x * mean_y
    luminance *= 2
    luminance += np.float32(_C1)
    mean_x *= mean_x
    mean_y *= mean_y
    mean_x += mean_y
    mean_x += np.float32(_C1)
    luminance /= mean_x
    luminance *= contrast_structure
    return _Similarity(_channel_means(luminance), _channel_means(contrast_structure))


def _unit(image: NDArray[np.uint8]) -> Floats:
    return np.multiply(image, np.float32(1 / 255), dtype=np.float32)


def _gaussian() -> Floats:
    offsets = np.arange(WINDOW_PX) - _BORDER_PX
    weights = np.exp(-(offsets**2) / (2 * SIGMA_PX**2))
    return (weights / weights.sum()).astype(np.float32)


_GAUSSIAN = _gaussian()


def _blurred(image: Floats) -> Floats:
    """The gaussian window's mean at every place where it fits: (H,W,C) to (H-10,W-10,C)."""
    blurred = cv2.sepFilter2D(image, cv2.CV_32F, _GAUSSIAN, _GAUSSIAN, borderType=cv2.BORDER_REFLECT)
    blurred = blurred.reshape(image.shape)  # OpenCV drops a channel axis of length 1
    return np.ascontiguousarray(blurred[_BORDER_PX:-_BORDER_PX, _BORDER_PX:-_BORDER_PX])


def _halved(image: Floats) -> Floats:
    """2x2 means. An odd side gets a row or column of zeros in front, as in pytorch-msssim."""
    height, width, channels = image.shape
    if height % 2 or width % 2:
        image = np.pad(image, ((height % 2, 0), (width % 2, 0), (0, 0)))
    size = (image.shape[1] // 2, image.shape[0] // 2)
    halved: Floats = cv2.resize(image, size, interpolation=cv2.INTER_AREA).astype(np.float32, copy=False)
    return halved.reshape(size[1], size[0], channels)


def _shifted(image: Floats, amounts: Values) -> Floats:
    """Adds one amount per channel, as one row of the image: numpy is slow where the last axis is short."""
    height, width, _ = image.shape
    row = np.tile(amounts.astype(np.float32), width)
    return (image.reshape(height, -1) + row).reshape(image.shape)


def _channel_means(image: Floats) -> Values:
    return np.array(cv2.mean(image)[: image.shape[2]])  # sums in float64, ten times as fast as numpy's mean
