"""A round brush: what all strokes are drawn with."""

from __future__ import annotations

from collections.abc import Sequence

from PIL import ImageDraw


def paint(draw: ImageDraw.ImageDraw, vertices: Sequence[tuple[float, float]], width_px: float) -> None:
    """A line through vertices (x, y), at least a pixel wide, with round joints and ends."""
    draw.line(vertices, fill=1, width=max(1, round(width_px)))
    for x, y in vertices:
        draw.ellipse((x - width_px / 2, y - width_px / 2, x + width_px / 2, y + width_px / 2), fill=1)
