"""Methods that need no training, behind one call."""

from __future__ import annotations

import pkgutil

import numpy as np
from numpy.typing import NDArray

from pennet.errors import UserError
from pennet.methods import classical_methods


def fill(method: str, image: NDArray[np.uint8], mask: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Predicts a whole picture from its known pixels; what is in the hole is never seen.

    Args:
        method: a classical one of `pennet.methods`.
        image: (H, W, 3) uint8 RGB.
        mask: (H, W) uint8, 1 = hole.

    Raises:
        UserError: an unknown method, shapes or types that do not fit, or a mask without any known pixel.
    """
    known = classical_methods()
    if method not in known:
        raise UserError(f"unknown classical method {method!r}; known are {', '.join(known)}")
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
        raise UserError(f"{method}: expected an image of uint8 (H, W, 3), got {image.dtype} {image.shape}; convert it")
    if mask.shape != image.shape[:2]:
        raise UserError(
            f"{method}: expected a mask of shape {image.shape[:2]} like the image, got {mask.shape}; crop or resize it"
        )
    if not mask.size:
        raise UserError(f"{method}: the image of shape {image.shape} has no pixels; leave it out")
    if mask.all():
        raise UserError(f"{method}: no pixel is known, there is nothing to inpaint from")
    return pkgutil.resolve_name(known[method].fill)(image, mask)
