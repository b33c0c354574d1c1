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


def sheet(
    rows: Sequence[Sequence[Picture]], titles: Sequence[str], cell_px: int = CELL_PX, title_px: int = TITLE_PX
) -> Picture:
    """Pictures of one size in rows, a title above each column: (H, W, 3) uint8.

    Args:
        rows: one picture for each title, which is `enlarged` to `cell_px`.
        titles: in a line of `title_px`.
        cell_px, title_px: in pixels.

    Raises:
        ValueError: no rows, or a row that has not one picture for each title.
    """
    if not rows or any(len(row) != len(titles) for row in rows):
        raise ValueError(f"a sheet needs rows of {len(titles)} pictures, one for each of {list(titles)}")
    height, width = enlarged(rows[0][0], cell_px).shape[:2]
    cell_height, cell_width = height + GAP_PX, width + GAP_PX
    canvas = np.full((title_px + len(rows) * cell_height, len(titles) * cell_width, 3), 255, np.uint8)
    for row, pictures in enumerate(rows):
        for column, picture in enumerate(pictures):
            top, left = title_px + row * cell_height, column * cell_width
            canvas[top : top + height, left : left + width] = enlarged(picture, cell_px)
    image = Image.fromarray(canvas)
    draw, font = ImageDraw.Draw(image), ImageFont.load_default(title_px * 3 // 5)
    for column, title in enumerate(titles):
        draw.text((column * cell_width + 2, title_px // 5), title, fill=(0, 0, 0), font=font)
    return np.array(image)


def enlarged(picture: Picture, size_px: int) -> Picture:
    """By a whole factor, until the longer side has at least a size: (H, W, 3) uint8; every pixel becomes a square."""
    factor = max(1, math.ceil(size_px / max(picture.shape[:2])))
    return picture.repeat(factor, axis=0).repeat(factor, axis=1)


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
