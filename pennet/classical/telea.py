"""Telea's fast marching: the hole is filled inwards from its border, each pixel by a weighted mean of its neighbours."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pennet.extras import require

RADIUS_PX = 3
"""The customary neighbourhood of OpenCV's examples. A larger one blurs more and so scores a lower L1."""


def fill_with_telea(image: NDArray[np.uint8], mask: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(H, W, 3), (H, W) 1 = hole -> (H, W, 3), all uint8.

    Raises:
        UserError: its package is not installed.

    Source: Telea, An Image Inpainting Technique Based on the Fast Marching Method, 2004; OpenCV's implementation.
    """
    require("classical", "cv2")
    import cv2

    hole = (mask > 0).astype(np.uint8)
    known = np.where(hole[..., None] > 0, 0, image).astype(np.uint8)
    return np.asarray(cv2.inpaint(known, hole, RADIUS_PX, cv2.INPAINT_TELEA), np.uint8)
