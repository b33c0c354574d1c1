"""One point of a hole and the places that it was taken from, level by level, drawn on the picture."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from pennet.errors import UserError
from pennet.images import Picture
from pennet.source_levels import Level

PANEL_PX = 480
"""Longer side of a drawn level, at least."""
_FROM, _TO = (255, 205, 50), (240, 80, 140)
_FINE = 2
"""Drawn so many times larger, then reduced: smooth lines."""


def drawn_levels(
    image: Picture, mask: NDArray[np.uint8], levels: list[Level], point: tuple[int, int]
) -> list[tuple[Picture, str]]:
    """The picture once for each level, with the point's cell (pink), the cell it was taken from (yellow) and an arrow.

    Args:
        image: (H, W, 3) uint8.
        mask: (H, W), 1 (or 255) = hole.
        levels: of `pennet.source_levels.source_levels`.
        point: line and column, in pixels.

    Returns:
        Each level's drawing, (H', W', 3) uint8, and what it shows, in a few words.

    Raises:
        UserError: the point is outside of the hole.
    """
    line, column = point
    height, width = mask.shape
    if not (0 <= line < height and 0 <= column < width) or not mask[line, column]:
        raise UserError(
            f"line {line}, column {column} is outside of the hole: it was not copied; choose a point of the hole"
        )
    return [_drawn(image, level, point) for level in levels]


def _drawn(image: Picture, level: Level, point: tuple[int, int]) -> tuple[Picture, str]:
    height, width = image.shape[:2]
    factor = _FINE * max(1.0, PANEL_PX / max(height, width))
    canvas = Image.fromarray(image).resize((round(width * factor), round(height * factor)), Image.Resampling.NEAREST)
    draw, stroke = ImageDraw.Draw(canvas), 3 * _FINE
    cells = f"cells of {level.cell_px} px"
    source = tuple(level.sources[:, point[0], point[1]].tolist())
    _square(draw, point, level.cell_px, factor, _TO, stroke)
    if source == tuple(point):
        words = ": no single place, several are equally alike or none is known"
    else:
        _square(draw, source, level.cell_px, factor, _FROM, stroke)
        start, end = (np.array([place[1] + 0.5, place[0] + 0.5]) * factor for place in (source, point))
        _arrow(draw, start, end, stroke)
        words = ""
    size = canvas.width // _FINE, canvas.height // _FINE
    return np.array(canvas.resize(size, Image.Resampling.BOX)), f"Level {level.scale}, {cells}{words}"


def _square(
    draw: ImageDraw.ImageDraw, place: tuple[int, ...], cell_px: int, factor: float, colour: tuple[int, int, int], stroke: int
) -> None:
    """The cell that a place lies in: at least a few pixels large, or nobody would see it."""
    top, left = (number // cell_px * cell_px for number in place)
    middle = np.array([left + cell_px / 2, top + cell_px / 2]) * factor
    half = max(cell_px * factor / 2, 3.0 * stroke)
    for outline, grow in (((0, 0, 0), stroke // 2), (colour, 0)):
        box = [*(middle - half - grow), *(middle + half + grow)]
        draw.rectangle(box, outline=outline, width=stroke + 2 * grow)


def _arrow(draw: ImageDraw.ImageDraw, start: NDArray[np.float64], end: NDArray[np.float64], stroke: int) -> None:
    """White on a dark border, with a head at its end."""
    right, down = end - start
    angle = math.atan2(down, right)
    head = [end]
    for turn in (math.radians(152), math.radians(-152)):
        head.append(end + 5 * stroke * np.array([math.cos(angle + turn), math.sin(angle + turn)]))
    for colour, width in (((0, 0, 0), 2 * stroke), ((255, 255, 255), stroke)):
        draw.line([*start, *end], fill=colour, width=width)
        for side in head[1:]:
            draw.line([*end, *side], fill=colour, width=width)
