"""Where the pixels of a hole were copied from, as a picture: PEN-Net can say it of every one (`PENNet.sources`)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pennet.pictures import Picture, enlarged, sheet

Sources = NDArray[np.signedinteger]
"""(2, H, W): line and column of the place that each pixel was copied from, in pixels; a known pixel's are its own."""

Point = NDArray[np.float64]
"""Line and column, in pixels."""

TITLES = ("input", "filled", "copied from")
PANEL_PX = 320
TITLE_PX = 28
MAX_ARROWS = 4
SMALLEST_REGION_PX = 8
"""A region of fewer pixels gets no arrow: nobody would see what it points at."""

_CORNERS = np.array([[[255, 205, 50], [240, 80, 140]], [[25, 190, 130], [95, 115, 250]]], np.float64)
"""Yellow, pink; green, blue."""
_NO_PLACE = np.uint8(60)
_DARKEST, _BRIGHTEST = 0.35, 0.75
"""Of the legend, where the picture is darkest and brightest."""


@dataclass(frozen=True)
class Region:
    """Connected hole pixels that were copied together: where two are neighbours, their sources are, within a pixel."""

    num_pixels: int
    source: tuple[int, int]
    """Its middle pixel was copied from here."""
    target: tuple[int, int]
    """Its middle pixel: line and column."""


def source_figure(image: Picture, mask: NDArray[np.uint8], filled: Picture, sources: Sources) -> Picture:
    """The picture with its hole white, the filled picture, and the hole in the colours of its sources, side by side.

    Args:
        image, filled: (H, W, 3) uint8.
        mask: (H, W), 1 (or 255) = hole.
        sources: of each pixel.

    Returns:
        (H', W', 3) uint8, with titles.
    """
    holed = np.where(mask[..., None] > 0, np.uint8(255), image)
    panels = [enlarged(holed, PANEL_PX), enlarged(filled, PANEL_PX), source_panel(image, mask, sources)]
    return sheet([panels], TITLES, PANEL_PX, TITLE_PX)


def source_panel(image: Picture, mask: NDArray[np.uint8], sources: Sources) -> Picture:
    """`colour_by_source`, enlarged to `PANEL_PX`, with arrows to the largest regions from where they were copied."""
    panel = enlarged(colour_by_source(image, mask, sources), PANEL_PX)
    factor = len(panel) // len(image)
    for region in regions(mask, sources, MAX_ARROWS):
        if region.num_pixels >= SMALLEST_REGION_PX:
            start, end = (factor * (np.array(place) + 0.5) for place in (region.source, region.target))
            panel = _with_arrow(panel, start, end)
    return panel


def colour_by_source(image: Picture, mask: NDArray[np.uint8], sources: Sources) -> Picture:
    """Every hole pixel in the colour of the place that it was copied from; the known part, dimmed, is the legend.

    Dark grey is what names no known place: several were equally alike, or there was nothing to copy.

    Args:
        image: (H, W, 3) uint8; what is in its hole is not shown.
        mask: (H, W), 1 (or 255) = hole.
        sources: of each pixel.

    Returns:
        (H, W, 3) uint8.
    """
    hole, colours = mask > 0, chart(*mask.shape)
    grey = image.mean(axis=2)
    darkest, brightest = grey[~hole].min(), grey[~hole].max()
    shade = _DARKEST + (_BRIGHTEST - _DARKEST) * (grey - darkest) / max(brightest - darkest, 1)
    legend = (colours * shade.clip(0, 1)[..., None]).round().astype(np.uint8)
    copies = np.where(hole[tuple(sources)][..., None], _NO_PLACE, colours[tuple(sources)])
    return np.where(hole[..., None], copies, legend)


def chart(height: int, width: int) -> Picture:
    """The colour of every place, (H, W, 3) uint8: another one in each corner, smooth in between."""
    down, right = np.linspace(0, 1, height)[:, None, None], np.linspace(0, 1, width)[:, None]
    top, bottom = ((1 - right) * left_end + right * right_end for left_end, right_end in _CORNERS)
    return ((1 - down) * top + down * bottom).round().astype(np.uint8)


def regions(mask: NDArray[np.uint8], sources: Sources, at_most: int) -> list[Region]:
    """The largest regions of a hole that were copied as they stand, the largest first.

    A pixel that names no known place is in none.

    Args:
        mask: (H, W), 1 (or 255) = hole.
        sources: of each pixel.
        at_most: so many of them.
    """
    hole = mask > 0
    places = np.indices(hole.shape)
    copied = hole & ~hole[tuple(sources)]
    labels = _connected(copied, sources - places)
    names, sizes = np.unique(labels[copied], return_counts=True)
    found = []
    for largest in np.argsort(-sizes, kind="stable")[:at_most]:
        targets = places[:, labels == names[largest]]
        centre = targets.mean(axis=1, keepdims=True)
        line, column = targets[:, np.square(targets - centre).sum(axis=0).argmin()].tolist()
        source_line, source_column = sources[:, line, column].tolist()
        found.append(Region(int(sizes[largest]), (source_line, source_column), (line, column)))
    return found


def _connected(inside: NDArray[np.bool_], values: NDArray[np.signedinteger]) -> NDArray[np.intp]:
    """One label for all pixels that a path of neighbours joins, each step within `inside` and by 1 at most in `values`.

    (H, W), (2, H, W) -> (H, W): the smallest index of the pixels that are joined.
    """
    down = inside[:-1] & inside[1:] & (np.abs(np.diff(values, axis=1)) <= 1).all(axis=0)
    right = inside[:, :-1] & inside[:, 1:] & (np.abs(np.diff(values, axis=2)) <= 1).all(axis=0)
    labels = np.arange(inside.size).reshape(inside.shape)
    while True:
        before = labels
        labels = labels.copy()
        for joined, one, other in ((down, labels[:-1], labels[1:]), (right, labels[:, :-1], labels[:, 1:])):
            one[joined] = np.minimum(one, other)[joined]
            other[joined] = np.minimum(one, other)[joined]
        labels = labels.flatten()[labels]  # a label's own label is smaller yet: far fewer rounds
        if np.array_equal(labels, before):
            return labels


def _with_arrow(panel: Picture, start: Point, end: Point) -> Picture:
    """A white arrow with a dark border on a panel, with a dot at its start."""
    thick = max(panel.shape[:2]) / PANEL_PX
    down, right = end - start
    strokes = [(start, end)]
    for turn in (math.radians(150), math.radians(-150)):
        angle = math.atan2(down, right) + turn
        strokes.append((end, end + 10 * thick * np.array([math.sin(angle), math.cos(angle)])))
    distance = np.min([_distance(panel.shape[:2], *stroke) for stroke in strokes], axis=0)
    distance = np.minimum(distance, _distance(panel.shape[:2], start, start) - 3 * thick)
    for colour, radius in ((0, 2.5 * thick), (255, 1.2 * thick)):
        cover = (radius + 0.5 - distance).clip(0, 1)[..., None]
        panel = (cover * colour + (1 - cover) * panel).round().astype(np.uint8)
    return panel


def _distance(shape: tuple[int, ...], start: Point, end: Point) -> NDArray[np.float64]:
    """From every pixel's middle to the line between two points, in pixels: (H, W)."""
    from_start = np.indices(shape) + 0.5 - start[:, None, None]
    line = (end - start)[:, None, None]
    along = (from_start * line).sum(axis=0) / max(np.square(line).sum(), 1e-9)
    return np.hypot(*(from_start - along.clip(0, 1) * line))
