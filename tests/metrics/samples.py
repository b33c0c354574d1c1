"""Pictures for the metric tests: smooth, noisy, from a seed."""

import numpy as np
from numpy.typing import NDArray

Images = NDArray[np.uint8]


def pictures(count: int, height: int, width: int, seed: int = 0) -> Images:
    """Smooth colour waves with a little texture, uint8 (N,H,W,3): structure at every scale, as in photographs."""
    generator = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width]
    images = np.zeros((count, height, width, 3))
    for wavelength in (64, 16, 6):
        phase, direction = generator.uniform(0, 6.28, (2, count, 1, 1, 3))
        along = np.cos(direction) * y[None, :, :, None] + np.sin(direction) * x[None, :, :, None]
        images += 40 * np.sin(6.28 * along / wavelength + phase)
    return np.clip(128 + images + generator.normal(0, 6, images.shape), 0, 255).astype(np.uint8)


def noisy(images: Images, sigma: float, seed: int = 1) -> Images:
    noise = np.random.default_rng(seed).normal(0, sigma, images.shape)
    return np.clip(images + noise, 0, 255).round().astype(np.uint8)
