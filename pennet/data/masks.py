"""Masks as pure functions of a random generator and a size: uint8 (H, W), 1 = hole.

Whatever the size, a mask has a hole, and a known pixel unless the picture is a single one.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from pennet.errors import UserError

Mask = NDArray[np.uint8]


def centre_square(height: int, width: int) -> Mask:
    """The centre rectangle of half of each side: the paper's test mask."""
    mask = np.zeros((height, width), np.uint8)
    box_height, box_width = _half(height), _half(width)
    top, left = height // 4, width // 4
    mask[top : top + box_height, left : left + box_width] = 1
    return mask


def rotated_square(rng: np.random.Generator, height: int, width: int) -> Mask:
    """PEN-Net's training mask: a square of half the shorter side at a random place, mirrored or not, turned by 0 to 45°.

    The unrotated square lies inside the picture; a turned one may lose its corners at the edge.

    Source: the authors' release (its random square with flip and rotation); see docs/deviations.md.
    """
    side = _half(min(height, width))
    top = rng.integers(0, height - side, endpoint=True)
    left = rng.integers(0, width - side, endpoint=True)
    angle = rng.uniform(0, math.pi / 4) * rng.choice([-1, 1])  # mirroring a square turns it the other way
    centre_y, centre_x = top + side / 2, left + side / 2
    y, x = np.ogrid[0.5 : height + 0.5, 0.5 : width + 0.5]
    along = (x - centre_x) * math.cos(angle) + (y - centre_y) * math.sin(angle)
    across = (y - centre_y) * math.cos(angle) - (x - centre_x) * math.sin(angle)
    return ((np.abs(along) < side / 2) & (np.abs(across) < side / 2)).astype(np.uint8)


def jittered_box(rng: np.random.Generator, height: int, width: int) -> Mask:
    """CA's training mask: a box of half of each side at a uniform place, its four sides moved in by U{0..16} (of 256 px).

    Source: Yu et al. 2018, the release's parameters (box 128, largest change 32 of 256 px).
    """
    box_height, box_width = _half(height), _half(width)
    top = rng.integers(0, height - box_height, endpoint=True)
    left = rng.integers(0, width - box_width, endpoint=True)
    above, below = rng.integers(0, height // 16, size=2, endpoint=True)
    before, after = rng.integers(0, width // 16, size=2, endpoint=True)
    mask = np.zeros((height, width), np.uint8)
    mask[top + above : top + box_height - below, left + before : left + box_width - after] = 1
    return mask


def free_form(rng: np.random.Generator, height: int, width: int) -> Mask:
    """GntIpt's training mask: one to three strokes of a round brush. Source: Yu et al. 2019, algorithm 1."""
    mask = np.zeros((height, width), np.uint8)
    for _ in range(rng.integers(1, 3, endpoint=True)):
        mask |= _stroke(rng, height, width)
    return _with_known_pixel(rng, mask)


def box_and_free_form(rng: np.random.Generator, height: int, width: int) -> Mask:
    """GntIpt's whole training mask: the jittered box and the strokes together."""
    return _with_known_pixel(rng, jittered_box(rng, height, width) | free_form(rng, height, width))


def _half(side: int) -> int:
    return max(1, side // 2)


def _with_known_pixel(rng: np.random.Generator, mask: Mask) -> Mask:
    """A mask that covers a picture of a few pixels loses one of them again."""
    if mask.all() and mask.size > 1:
        mask.flat[rng.integers(mask.size)] = 0
    return mask


def _stroke(rng: np.random.Generator, height: int, width: int) -> Mask:
    """A polyline of 4 to 11 vertices that turns back and forth, drawn with a round brush of 12 to 40 px (of 256)."""
    canvas = Image.new("L", (width, height))
    draw = ImageDraw.Draw(canvas)
    step = math.hypot(height, width) / 8
    brush = rng.uniform(12, 40) * min(height, width) / 256
    smallest_angle = 2 * math.pi / 5 - rng.uniform(0, 2 * math.pi / 15)
    largest_angle = 2 * math.pi / 5 + rng.uniform(0, 2 * math.pi / 15)
    x, y = rng.uniform(0, width), rng.uniform(0, height)
    start = int(y), int(x)
    vertices = [(x, y)]
    for vertex in range(rng.integers(4, 11, endpoint=True) - 1):
        angle = rng.uniform(smallest_angle, largest_angle)
        if vertex % 2 == 0:
            angle = 2 * math.pi - angle
        length = float(np.clip(rng.normal(step, step / 2), 0, 2 * step))
        x = float(np.clip(x + length * math.sin(angle), 0, width))
        y = float(np.clip(y + length * math.cos(angle), 0, height))
        vertices.append((x, y))
    draw.line(vertices, fill=1, width=max(1, round(brush)))
    for x, y in vertices:  # round joints and ends
        draw.ellipse((x - brush / 2, y - brush / 2, x + brush / 2, y + brush / 2), fill=1)
    mask = np.array(canvas, np.uint8)
    mask[start] = 1  # of a few pixels, rounding may draw beside the picture
    if rng.random() < 0.5:
        mask = mask[:, ::-1]
    if rng.random() < 0.5:
        mask = mask[::-1]
    return mask


IRREGULAR_BINS = ((0.01, 0.1), (0.1, 0.2), (0.2, 0.3), (0.3, 0.4), (0.4, 0.5), (0.5, 0.6))
"""Hole ratios of the irregular test protocol: above the first number, up to the second."""


def irregular(seed: int, index: int, height: int, width: int) -> Mask:
    """Test mask number `index` of the irregular protocol: free-form strokes until its hole-ratio bin is reached.

    The bins take turns, so every run of six images has one of each.

    Args:
        seed: of the protocol.
        index: which image; its mask depends on no other.
        height, width: at least 16 px, or the smallest bins may be out of reach.

    Raises:
        UserError: no mask of this size falls into the bin.
    """
    low, high = IRREGULAR_BINS[index % len(IRREGULAR_BINS)]
    rng = np.random.default_rng([seed, index])
    for _ in range(1000):
        mask = np.zeros((height, width), np.uint8)
        while mask.mean() <= low:
            mask |= _stroke(rng, height, width)
        if mask.mean() <= high:
            return mask
    raise UserError(f"no free-form mask of {width}x{height} px has a hole ratio from {low} to {high}; use larger images")
