"""The seam: by how much the edge along the hole's border is harder in the result than in the truth."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pennet.metrics.metric import Metric
from pennet.metrics.pixel import Images, Values, check_mask, check_pair

REACH_PX = 4
"""A step is the mean over the border this far to both sides: a stretch of 9 pixels, long enough to be seen as an edge."""


def seam(fake: Images, real: Images, mask: NDArray[np.uint8]) -> Values:
    """Mean step across the hole's border by which the result exceeds the truth, with pixels in [0,1].

    The border is every pair of a hole pixel and a known one beside it. A pair's step is the hole pixel minus the known one,
    averaged along the border over the pairs of the same side up to `REACH_PX` away: texture cancels, an edge does not. The
    value is the mean of max(0, |step of `fake`| - |step of `real`|) over pairs and channels: a soft border in one place does
    not make good an edge in another.

    Args:
        fake: (N,H,W,C).
        real: (N,H,W,C).
        mask: (N,H,W), 1 = hole.

    Returns:
        (N,) in [0,1]; NaN without a border.

    Raises:
        ValueError: the shapes do not fit.

    Source: own.
    """
    check_pair(fake, real)
    check_mask(mask, fake)
    count, excess = np.zeros((2, len(fake)))
    for turned in (False, True):  # the border's horizontal parts, then its vertical ones
        hole, pictures = mask > 0, (fake, real)
        if turned:
            hole, pictures = hole.swapaxes(1, 2), (fake.swapaxes(1, 2), real.swapaxes(1, 2))
        above, below = hole[:, :-1], hole[:, 1:]
        for border, inner, outer in ((below & ~above, 1, 0), (above & ~below, 0, 1)):
            image, row, column = np.nonzero(border)
            # One number a pair, in which neighbours along the border are neighbours and other rows are out of reach.
            place = (image * hole.shape[1] + row) * (hole.shape[2] + 2 * REACH_PX) + column
            first, last = np.searchsorted(place, place - REACH_PX), np.searchsorted(place, place + REACH_PX, "right")
            sizes = []
            for picture in pictures:
                step = picture[image, row + inner, column].astype(np.int64) - picture[image, row + outer, column]
                sums = np.concatenate([np.zeros((1, step.shape[1]), np.int64), step.cumsum(axis=0)])
                sizes.append(np.abs(sums[last] - sums[first]))
            of_pairs = np.maximum(sizes[0] - sizes[1], 0).mean(axis=1) / (last - first)
            excess += np.bincount(image, of_pairs, len(fake))
            count += np.bincount(image, minlength=len(fake))
    return np.divide(excess, 255 * count, out=np.full(len(fake), np.nan), where=count > 0)


SEAM = Metric(
    name="seam",
    heading="seam",
    better="lower",
    range="0 to 1",
    digits=4,
    needs="hole",
    function=seam,
    headline=True,
    undefined="no border between hole and known pixels",
)
