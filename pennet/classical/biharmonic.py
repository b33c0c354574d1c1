"""Biharmonic interpolation: the smoothest surface that meets the hole's border in value and slope."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pennet.extras import require


def fill_with_biharmonic(image: NDArray[np.uint8], mask: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(H, W, 3), (H, W) 1 = hole -> (H, W, 3), all uint8.

    Raises:
        UserError: its package is not installed.

    Source: Damelin and Hoang, On surface completion and image inpainting by biharmonic functions, 2018; scikit-image's
    implementation.
    """
    require("classical", "skimage")
    from skimage.restoration import inpaint_biharmonic

    hole = mask > 0
    known = np.where(hole[..., None], 0, image).astype(np.float64) / 255
    filled = inpaint_biharmonic(known, hole, channel_axis=-1)
    return np.asarray(np.round(np.clip(filled, 0, 1) * 255), np.uint8)
