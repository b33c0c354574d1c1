"""Where a point of a photo's hole is copied from, in the part of the photo that the network sees."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from pennet.errors import UserError
from pennet.images import Picture, to_float, to_uint8
from pennet.inference import inpaint
from pennet.inpainter import Inpainter, Window
from pennet.inpainting.painting import padded, shrunk
from pennet.level_figure import drawn_levels
from pennet.photos.photo import Pixels, eight_bits
from pennet.source_levels import check_has_levels, source_levels


def drawn_copies(
    inpainter: Inpainter, pixels: Pixels, mask: NDArray[np.uint8], point: tuple[int, int]
) -> list[tuple[Picture, str]]:
    """A drawing and its words for each level, as `pennet.level_figure.drawn_levels` makes them.

    Args:
        inpainter: of a PEN-Net.
        pixels: (H, W, 3), the photo.
        mask: (H, W), 1 = hole.
        point: line and column in the photo.

    Raises:
        UserError: a point outside of the hole, or a model that copies from no places.
    """
    line, column = point
    if not mask[line, column]:
        raise UserError("this point is outside of the hole: nothing was copied there; click on a point of the hole")
    generator = inpainter.generator
    if generator is None:
        raise UserError(f"{inpainter.name} has no levels to show; choose a PEN-Net")
    check_has_levels(generator)
    window = _window_with(inpainter.plan(mask).windows, point)
    small, hole = _seen(pixels, mask, window)
    levels = source_levels(generator, small, hole)
    seen_point = (line - window.top) // window.factor, (column - window.left) // window.factor
    return drawn_levels(inpaint(generator, small, hole), hole, levels, seen_point)


def _window_with(windows: tuple[Window, ...], point: tuple[int, int]) -> Window:
    """The one whose middle is nearest, of those that hold the point."""

    def distance(window: Window) -> float:
        middle = window.top + window.height / 2, window.left + window.width / 2
        return max(abs(point[0] - middle[0]) / window.height, abs(point[1] - middle[1]) / window.width)

    return min(windows, key=distance)


def _seen(pixels: Pixels, mask: NDArray[np.uint8], window: Window) -> tuple[Picture, NDArray[np.uint8]]:
    """A window as the network sees it."""
    place = slice(window.top, window.top + window.height), slice(window.left, window.left + window.width)
    hole = torch.from_numpy(mask[place].astype(np.float32))[None, None]
    small, cells = shrunk(*padded(to_float(eight_bits(pixels[place])[None]), hole, window.factor), window.factor)
    return to_uint8(small)[0], cells[0, 0].numpy().astype(np.uint8)
