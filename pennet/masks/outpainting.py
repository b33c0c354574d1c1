"""Borders to be painted: a picture that goes on beyond its frame."""

from __future__ import annotations

import numpy as np

from pennet.masks.mask import Mask, with_known_pixel

DEPTH = (1 / 16, 1 / 4)
"""Share of the picture's height or width that a border takes, drawn uniformly for each; two opposite ones leave half."""


def outpainting(rng: np.random.Generator, height: int, width: int) -> Mask:
    """Borders along one to four sides, each number alike often, each side with a depth of its own.

    Source: the task of Teterwak et al. 2019 (Boundless), who extend one side; several sides and the depths are ours.
    """
    mask = np.zeros((height, width), np.uint8)
    sides = rng.permutation(4)[: rng.integers(1, 4, endpoint=True)]
    for side, depth in zip(sides, rng.uniform(*DEPTH, len(sides)), strict=True):
        turned = np.rot90(mask, side)  # a view in which the side is the upper one
        turned[: max(1, round(len(turned) * depth))] = 1
    return with_known_pixel(rng, mask)
