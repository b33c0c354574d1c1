"""Blobs of the outline of things: what people take out of a picture."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from pennet.masks.mask import Mask, with_known_pixel

NUM_BLOBS = (1, 3)
SIZE = (0.12, 0.5)
"""Mean diameter of a blob, of the picture's shorter side, drawn log-uniformly: there are more small things than large."""
LARGEST_ASPECT = 2.0
WAVES = range(2, 6)
"""Periods of a turn that make an outline; the first would only move it."""
LARGEST_WAVE = 0.3
"""Of the radius; a wave of k periods has up to a k-th of it. All together never take as much as six tenths of it."""
NUM_VERTICES = 72

_TURN = [2 * math.pi * vertex / NUM_VERTICES for vertex in range(NUM_VERTICES)]
_BASIS = np.array([[trend(k * angle) / k for angle in _TURN] for trend in (math.cos, math.sin) for k in WAVES])
"""(2 waves, vertices)."""
_CIRCLE = np.array([[trend(angle) for angle in _TURN] for trend in (math.cos, math.sin)])


def objects(rng: np.random.Generator, height: int, width: int) -> Mask:
    """One to three blobs with smooth closed outlines, centred anywhere in the picture, cut off at its edge.

    Source: ours, after the object-shaped holes of Zheng et al. 2022 (CM-GAN), which are cut from segmented photos.
    """
    canvas = Image.new("L", (width, height))
    draw = ImageDraw.Draw(canvas)
    mask = np.zeros((height, width), np.uint8)
    for _ in range(rng.integers(*NUM_BLOBS, endpoint=True)):
        x, y = rng.uniform(0, width), rng.uniform(0, height)
        outline = _outline(rng, min(height, width)) + np.array([x, y])
        draw.polygon(outline.ravel().tolist(), fill=1)
        mask[int(y), int(x)] = 1  # of a few pixels, rounding may draw none
    return with_known_pixel(rng, mask | np.array(canvas, np.uint8))


def _outline(rng: np.random.Generator, side_px: int) -> NDArray[np.float64]:
    """Vertices (x, y) of a closed outline around the origin: (NUM_VERTICES, 2), a star-shaped polygon."""
    radius = side_px / 2 * SIZE[0] * (SIZE[1] / SIZE[0]) ** rng.uniform()
    stretch = LARGEST_ASPECT ** rng.uniform(0, 0.5)
    amplitudes = rng.uniform(-LARGEST_WAVE, LARGEST_WAVE, len(_BASIS))
    radii = radius * (1 + (amplitudes[:, None] * _BASIS).sum(axis=0))
    along, across = radii * _CIRCLE * [[stretch], [1 / stretch]]
    angle = rng.uniform(0, math.pi)
    turned_x = along * math.cos(angle) - across * math.sin(angle)
    turned_y = along * math.sin(angle) + across * math.cos(angle)
    return np.stack([turned_x, turned_y], axis=1)
