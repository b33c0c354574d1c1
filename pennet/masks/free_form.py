"""Strokes of a brush: what people wipe out of a picture."""

from __future__ import annotations

import math

import numpy as np
from PIL import Image, ImageDraw

from pennet.masks.mask import Mask, with_known_pixel


def free_form(rng: np.random.Generator, height: int, width: int) -> Mask:
    """One to three strokes of a round brush. Source: Yu et al. 2019, algorithm 1."""
    mask = np.zeros((height, width), np.uint8)
    for _ in range(rng.integers(1, 3, endpoint=True)):
        mask |= stroke(rng, height, width)
    return with_known_pixel(rng, mask)


def stroke(rng: np.random.Generator, height: int, width: int) -> Mask:
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
