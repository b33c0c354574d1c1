"""LaMa's masks: chains of a wide, a medium or a thin brush, and rectangles."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw

from pennet.masks.mask import Mask, with_known_pixel

LARGEST_RATIO = 0.5
"""Masks with larger holes are drawn anew."""
MAX_ATTEMPTS = 20
"""In a picture of a few pixels no smaller hole may be possible. In others it is enough: of `lama_thick` two of five are too
large, of the others hardly one."""
NUM_SEGMENTS = (1, 5)
SHORTEST_PX, THINNEST_PX = 10, 5


class Lengths(NamedTuple):
    """The published table of a kind, in pixels of 256; counts are drawn uniformly, both ends included."""

    chains: tuple[int, int]
    longer_px: int
    """Up to which a segment is longer than `SHORTEST_PX`."""
    wider_px: int
    """Up to which the brush is wider than `THINNEST_PX`."""
    share_with_boxes: float
    boxes: tuple[int, int] = (0, 0)
    box_px: tuple[int, int] = (0, 0)
    margin_px: int = 0
    """That boxes keep from the edge."""


THIN = Lengths((4, 50), longer_px=40, wider_px=10, share_with_boxes=0)
MEDIUM = Lengths((4, 5), longer_px=100, wider_px=50, share_with_boxes=0.3, boxes=(1, 5), box_px=(10, 50))
THICK = Lengths((1, 5), longer_px=200, wider_px=100, share_with_boxes=0.3, boxes=(1, 3), box_px=(30, 150), margin_px=10)


def lama_thin(rng: np.random.Generator, height: int, width: int) -> Mask:
    """Many short chains of a thin brush, 5 to 15 px (of 256). Source: see `_draw`."""
    return _draw(rng, height, width, THIN)


def lama_medium(rng: np.random.Generator, height: int, width: int) -> Mask:
    """A few chains of a brush of 5 to 55 px (of 256), at times with small rectangles. Source: see `_draw`."""
    return _draw(rng, height, width, MEDIUM)


def lama_thick(rng: np.random.Generator, height: int, width: int) -> Mask:
    """A few long chains of a brush of 5 to 105 px (of 256), at times with large rectangles. Source: see `_draw`."""
    return _draw(rng, height, width, THICK)


def _draw(rng: np.random.Generator, height: int, width: int, lengths: Lengths) -> Mask:
    """Chains, and rectangles of any aspect, that hide at most half of a picture of 64 px or more.

    Source: Suvorov et al. 2022 (LaMa), section 2.4, with the tables of its 256 px test masks; directions, and that a chain
    keeps its width, are our reading.
    """
    for _ in range(MAX_ATTEMPTS):
        canvas = Image.new("L", (width, height))
        draw = ImageDraw.Draw(canvas)
        for _ in range(rng.integers(*lengths.chains, endpoint=True)):
            _chain(rng, draw, height, width, lengths)
        if rng.random() < lengths.share_with_boxes:
            for _ in range(rng.integers(*lengths.boxes, endpoint=True)):
                _box(rng, draw, height, width, lengths)
        mask = np.array(canvas, np.uint8)
        if np.count_nonzero(mask) <= LARGEST_RATIO * mask.size:
            break
    return with_known_pixel(rng, mask)


def _chain(rng: np.random.Generator, draw: ImageDraw.ImageDraw, height: int, width: int, lengths: Lengths) -> None:
    """Segments in any direction, clipped to the picture."""
    scale = min(height, width) / 256
    x, y = rng.uniform(0, width - 1), rng.uniform(0, height - 1)
    brush_px = max(1, round(scale * (THINNEST_PX + rng.uniform(0, lengths.wider_px))))
    num_segments = rng.integers(*NUM_SEGMENTS, endpoint=True)
    vertices = [(x, y)]
    for direction, length in rng.uniform(0, (2 * math.pi, lengths.longer_px), (num_segments, 2)).tolist():
        x = min(max(x + scale * (SHORTEST_PX + length) * math.cos(direction), 0), width - 1)
        y = min(max(y + scale * (SHORTEST_PX + length) * math.sin(direction), 0), height - 1)
        vertices.append((x, y))
    draw.line(vertices, fill=1, width=brush_px)
    radius = (brush_px - 1) / 2  # Pillow draws the pixels at both ends of a box
    for x, y in vertices:  # round joints and ends
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=1)


def _box(rng: np.random.Generator, draw: ImageDraw.ImageDraw, height: int, width: int, lengths: Lengths) -> None:
    scale = min(height, width) / 256
    box_height, box_width = (max(1, round(scale * rng.integers(*lengths.box_px, endpoint=True))) for _ in range(2))
    margin = int(scale * lengths.margin_px)
    top = rng.integers(margin, max(margin, height - box_height - margin), endpoint=True)
    left = rng.integers(margin, max(margin, width - box_width - margin), endpoint=True)
    draw.rectangle((int(left), int(top), int(left + box_width - 1), int(top + box_height - 1)), fill=1)
