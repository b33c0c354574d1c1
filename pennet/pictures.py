"""Sheets of pictures for people to look at."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

Picture = NDArray[np.uint8]

GAP_PX = 4
TITLE_PX = 20
CELL_PX = 128
"""Smaller pictures are enlarged by a whole factor to about this size."""


def sheet(rows: Sequence[Sequence[Picture]], titles: Sequence[str]) -> Picture:
    """Pictures of one size in rows, a title above each column: (H, W, 3) uint8.

    Raises:
        ValueError: no rows, or a row that has not one picture for each title.
    """
    if not rows or any(len(row) != len(titles) for row in rows):
        raise ValueError(f"a sheet needs rows of {len(titles)} pictures, one for each of {list(titles)}")
    height, width = rows[0][0].shape[:2]
    factor = max(1, math.ceil(CELL_PX / max(height, width)))
    cell_height, cell_width = height * factor + GAP_PX, width * factor + GAP_PX
    canvas = np.full((TITLE_PX + len(rows) * cell_height, len(titles) * cell_width, 3), 255, np.uint8)
    for row, pictures in enumerate(rows):
        for column, picture in enumerate(pictures):
            top, left = TITLE_PX + row * cell_height, column * cell_width
            enlarged = picture.repeat(factor, axis=0).repeat(factor, axis=1)
            canvas[top : top + height * factor, left : left + width * factor] = enlarged
    image = Image.fromarray(canvas)
    draw = ImageDraw.Draw(image)
    for column, title in enumerate(titles):
        draw.text((column * cell_width + 2, 4), title, fill=(0, 0, 0), font=ImageFont.load_default(12))
    return np.array(image)


def contact_sheet(pictures: Sequence[Picture] | Picture, columns: int) -> Picture:
    """Pictures of one size side by side, `columns` to a row, without titles or enlargement: (H, W, 3) uint8."""
    if len(pictures) == 0:
        raise ValueError("a contact sheet needs at least one picture")
    height, width = pictures[0].shape[:2]
    rows = math.ceil(len(pictures) / columns)
    canvas = np.full((rows * (height + GAP_PX), columns * (width + GAP_PX), 3), 255, np.uint8)
    for index, picture in enumerate(pictures):
        top, left = index // columns * (height + GAP_PX), index % columns * (width + GAP_PX)
        canvas[top : top + height, left : left + width] = picture
    return canvas
