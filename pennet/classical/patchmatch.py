"""PatchMatch: the hole is covered with patches of the known part, found by a randomised search at several scales."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pennet.errors import UserError
from pennet.extras import require

PATCH_RADIUS_PX = 3
"""Patches of 7x7 pixels, as in the library's examples."""
SMALLEST_SIDE_PX = 32
"""Shorter sides are mirrored up to this: with few patches a side, the library leaves parts of a large hole black."""
SEED = 0
"""The search starts from it for every picture, so a picture's result does not depend on the ones before."""


def fill_with_patchmatch(image: NDArray[np.uint8], mask: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(H, W, 3), (H, W) 1 = hole -> (H, W, 3), all uint8.

    Raises:
        UserError: pypatchmatch is not installed, or its native library cannot be loaded here.

    Source: Barnes et al., PatchMatch, 2009, with the completion of Wexler et al., 2007; pypatchmatch's implementation.
    """
    require("classical", "patchmatch")
    import patchmatch

    if not patchmatch.patchmatch_available:
        raise UserError("patchmatch: pypatchmatch's native library does not load here; take it out of methods.classical")
    hole = (mask > 0).astype(np.uint8)
    known = np.where(hole[..., None] > 0, 0, image).astype(np.uint8)
    height, width = hole.shape
    mirrored = [(0, max(0, SMALLEST_SIDE_PX - side)) for side in (height, width)]
    known, hole = np.pad(known, [*mirrored, (0, 0)], mode="symmetric"), np.pad(hole, mirrored, mode="symmetric")
    patchmatch.set_random_seed(SEED)
    filled = np.asarray(patchmatch.inpaint(known, hole * 255, patch_size=PATCH_RADIUS_PX), np.uint8)
    return filled[:height, :width]
