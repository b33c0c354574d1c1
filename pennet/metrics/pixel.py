"""Pixel metrics: L1 in its three meanings, and PSNR. One value per image, exact on uint8.

Every function takes uint8 batches (N,H,W,C), the composite as it is saved and the ground truth, and returns
float64 (N,). Sums are over integers, so that a value depends on nothing but its own two images.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pennet.metrics.metric import Metric

Images = NDArray[np.uint8]
Values = NDArray[np.float64]


def l1(fake: Images, real: Images) -> Values:
    """Mean absolute difference over the whole image, with pixels in [0,1]; 0 is best, 1 the most."""
    return _absolute_difference(fake, real).mean(axis=(1, 2, 3), dtype=np.float64) / 255


def l1_hole(fake: Images, real: Images, mask: NDArray[np.uint8]) -> Values:
    """Mean absolute difference inside the hole, with pixels in [0,1].

    Args:
        fake: (N,H,W,C).
        real: (N,H,W,C).
        mask: (N,H,W), 1 = hole.

    Returns:
        (N,); NaN where the hole is empty, because the mean of nothing is not 0.

    Raises:
        ValueError: the mask's shape is not the images' one.
    """
    check_mask(mask, fake)
    difference = _absolute_difference(fake, real)
    hole = mask > 0
    total = (difference * hole[..., None]).sum(axis=(1, 2, 3), dtype=np.int64)
    count = hole.sum(axis=(1, 2)) * fake.shape[3]
    return np.divide(total, count * 255.0, out=np.full(len(fake), np.nan), where=count > 0)


def l1_relative(fake: Images, real: Images) -> Values:
    """Sum of absolute differences over the sum of both images: 0 (identical) to 1.

    Two black images are identical, hence 0 and not 0/0.

    Source: the "mae" of the authors' released evaluation script; it depends on the brightness of the images.
    """
    difference = _absolute_difference(fake, real).sum(axis=(1, 2, 3), dtype=np.int64)
    brightness = fake.sum(axis=(1, 2, 3), dtype=np.int64) + real.sum(axis=(1, 2, 3), dtype=np.int64)
    return np.divide(difference, brightness, out=np.zeros(len(fake)), where=brightness > 0)


def psnr(fake: Images, real: Images) -> Values:
    """Peak signal-to-noise ratio in dB of each image, `10 log10(1 / MSE)` with pixels in [0,1].

    Returns:
        (N,); inf where the two images are identical.
    """
    squared = np.square(_absolute_difference(fake, real), dtype=np.uint16).sum(axis=(1, 2, 3), dtype=np.int64)
    mse = squared / (np.prod(fake.shape[1:]) * 255.0**2)
    with np.errstate(divide="ignore"):
        return -10 * np.log10(mse)


def as_rgb(images: Images) -> Images:
    """uint8 (N,H,W,3) as it is; grey (N,H,W,1) three times over, for networks that were trained on colour.

    Raises:
        ValueError: another number of channels.
    """
    if images.shape[-1] not in (1, 3):
        raise ValueError(f"networks need 1 or 3 channels, got images of shape {images.shape}; convert them to RGB")
    return images if images.shape[-1] == 3 else images.repeat(3, axis=-1)


def _absolute_difference(fake: Images, real: Images) -> Images:
    check_pair(fake, real)
    return np.maximum(fake, real) - np.minimum(fake, real)  # stays in uint8, where SIMD is widest


def check_pair(fake: Images, real: Images) -> None:
    """Raises ValueError unless both are uint8 batches (N,H,W,C) of the same shape."""
    for name, images in (("fake", fake), ("real", real)):
        if images.dtype != np.uint8 or images.ndim != 4:
            raise ValueError(f"{name}: expected uint8 (N,H,W,C), got {images.dtype} {images.shape}")
    if fake.shape != real.shape:
        raise ValueError(f"fake {fake.shape} and real {real.shape} differ in shape")


def check_mask(mask: NDArray[np.uint8], images: Images) -> None:
    """Raises ValueError unless there is a mask (H,W) for each image."""
    if mask.shape != images.shape[:3]:
        raise ValueError(f"mask has shape {mask.shape}, the images need {images.shape[:3]}")


L1 = Metric(name="l1", heading="L1", better="lower", range="0 to 1", digits=4, needs="pair", function=l1)
L1_HOLE = Metric(
    name="l1_hole",
    heading="L1 in the hole",
    better="lower",
    range="0 to 1",
    digits=4,
    needs="hole",
    function=l1_hole,
    headline=True,
    undefined="empty hole",
)
L1_RELATIVE = Metric(
    name="l1_relative",
    heading="relative L1",
    better="lower",
    range="0 to 1",
    digits=4,
    needs="pair",
    function=l1_relative,
)
PSNR = Metric(
    name="psnr",
    heading="PSNR (dB)",
    better="higher",
    range="0 to infinity, dB",
    digits=2,
    needs="pair",
    function=psnr,
    headline=True,
)
