"""The picture of where a hole's pixels were copied from: colours, regions, arrows."""

import numpy as np
import pytest

from pennet.pictures import enlarged
from pennet.source_figure import MAX_ARROWS, PANEL_PX, Region, chart, colour_by_source, regions, source_figure, source_panel

SIDE = 64
IMAGE = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
MASK = np.zeros((SIDE, SIDE), np.uint8)
MASK[16:48, 16:48] = 1
OWN = np.indices((SIDE, SIDE))


def copies(*moves: tuple[slice, slice, int, int]) -> np.ndarray:
    """Sources of blocks of the hole that lie so many lines and columns away; all other pixels name themselves."""
    sources = OWN.copy()
    for lines, columns, down, right in moves:
        sources[0, lines, columns] += down
        sources[1, lines, columns] += right
    return sources


TWO = copies((slice(16, 26), slice(16, 28), 0, -16), (slice(30, 36), slice(30, 40), -20, 20))


def test_a_colour_of_the_chart_says_its_place() -> None:
    colours = chart(48, SIDE).astype(int)
    assert max(np.abs(np.diff(colours, axis=axis)).max() for axis in (0, 1)) < 8  # smooth: 255 levels in 47 steps
    flat = colours.reshape(-1, 3)
    for line, column in np.random.default_rng(0).integers(0, 48, (100, 2)):
        nearest = np.square(flat - colours[line, column]).sum(axis=1).argsort(kind="stable")[:2]
        assert nearest[0] == line * SIDE + column
        assert not np.array_equal(flat[nearest[1]], colours[line, column])


def test_a_copied_pixel_has_its_sources_colour_in_the_legend() -> None:
    made = colour_by_source(IMAGE, MASK, TWO).astype(float)
    for line, column in ((16, 16), (25, 27), (31, 33)):
        copied, legend = made[line, column], made[tuple(TWO[:, line, column])]
        brightness = legend / copied  # the same share of red, green and blue: the same colour, darker
        assert np.ptp(brightness) < 1 / copied.min()  # but for rounding
        assert 0.3 < brightness.mean() < 0.8
    several = copies((slice(16, 17), slice(16, 18), -16, -16))
    several[:, 16, 17] = several[:, 16, 16]
    made = colour_by_source(IMAGE, MASK, several)
    assert np.array_equal(made[16, 16], made[16, 17])
    assert np.array_equal(made[16, 16], chart(SIDE, SIDE)[0, 0])


def test_what_names_no_known_place_is_grey() -> None:
    made = colour_by_source(IMAGE, MASK, TWO)
    hole = MASK > 0
    nowhere = hole & (TWO == OWN).all(axis=0)
    assert len(np.unique(made[nowhere])) == 1
    assert (np.ptp(made[hole & ~nowhere].astype(int), axis=1) > 0).all()


def test_the_legend_shows_the_known_part_and_nothing_of_the_hole() -> None:
    made = colour_by_source(IMAGE, MASK, TWO)
    spoilt = np.where(MASK[..., None] > 0, np.uint8(255) - IMAGE, IMAGE)
    assert np.array_equal(colour_by_source(spoilt, MASK, TWO), made)
    known = MASK == 0
    brightness = made[known].sum(axis=1) / chart(SIDE, SIDE)[known].astype(int).sum(axis=1)
    assert np.corrcoef(brightness, IMAGE[known].mean(axis=1))[0, 1] > 0.99


@pytest.mark.parametrize("value", [0, 255])
def test_a_flat_picture_has_a_legend_too(value: int) -> None:
    made = colour_by_source(np.full_like(IMAGE, value), MASK, TWO)
    assert made[MASK == 0].min() > 0


def test_regions_are_what_was_copied_together() -> None:
    first, second = regions(MASK, TWO, 5)
    assert first == Region(120, (20, 5), (20, 21))
    assert second.num_pixels == 60
    assert np.subtract(second.source, second.target).tolist() == [-20, 20]
    assert regions(MASK, TWO, 1) == [first]
    assert regions(MASK, OWN, 5) == []
    assert regions(np.zeros_like(MASK), OWN, 5) == []


def literal_regions(mask: np.ndarray, sources: np.ndarray) -> list[int]:
    """Sizes of the regions, by walking from pixel to pixel."""
    copied = {(y, x) for y, x in np.argwhere(mask).tolist() if not mask[tuple(sources[:, y, x])]}
    sizes = []
    while copied:
        waiting, size = [copied.pop()], 0
        while waiting:
            y, x = waiting.pop()
            size += 1
            for near in ((y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)):
                if near in copied:
                    apart = sources[:, y, x] - (y, x) - sources[:, near[0], near[1]] + near
                    if np.abs(apart).max() <= 1:
                        copied.remove(near)
                        waiting.append(near)
        sizes.append(size)
    return sorted(sizes, reverse=True)


@pytest.mark.parametrize("seed", range(3))
def test_regions_are_those_of_a_walk_from_pixel_to_pixel(seed: int) -> None:
    rng = np.random.default_rng(seed)
    mask = np.zeros((24, 50), np.uint8)
    mask[:, :20] = rng.random((24, 20)) < 0.85
    right = 22 + rng.integers(0, 2, mask.shape) + 3 * (rng.random(mask.shape) < 0.3)
    sources = np.indices(mask.shape)
    sources[1] += np.where(mask > 0, np.where(rng.random(mask.shape) < 0.05, 1, right), 0)
    expected = literal_regions(mask, sources)
    assert len(expected) > 10
    assert max(expected) > 30
    assert [region.num_pixels for region in regions(mask, sources, len(expected) + 1)] == expected


def test_the_middle_of_a_bent_region_lies_in_it() -> None:
    bent = copies((slice(16, 48), slice(16, 20), 0, -16), (slice(44, 48), slice(20, 48), 16, 0))
    bent[:, 44:48, 16:48] = OWN[:, 44:48, 16:48] + np.array([0, -16])[:, None, None]
    bent[:, 44:48, 32:48] = OWN[:, 44:48, 32:48] + np.array([16, 0])[:, None, None]
    for region in regions(MASK, bent, 5):
        assert tuple(bent[(slice(None), *region.target)]) == region.source
        assert not MASK[region.source]


def test_arrows_lead_from_source_to_target_of_the_largest_regions() -> None:
    moves = [(slice(16 + 6 * i, 20 + 6 * i), slice(18, 28 - i), 0, (-14, 30)[i % 2]) for i in range(5)]
    sources = copies(*moves)
    panel, bare = source_panel(IMAGE, MASK, sources), enlarged(colour_by_source(IMAGE, MASK, sources), PANEL_PX)
    found = regions(MASK, sources, 9)
    assert [region.num_pixels for region in found] == [40, 36, 32, 28, 24]
    factor = PANEL_PX // SIDE

    def shows(place: tuple[int, int]) -> bool:
        middle = tuple(factor * p + factor // 2 for p in place)
        return bool((panel[middle] == 255).all())

    assert [shows(region.source) and shows(region.target) for region in found] == [True] * MAX_ARROWS + [False]
    assert np.array_equal(panel[-40:], bare[-40:])  # nothing is drawn where no arrow passes
    assert np.array_equal(source_panel(IMAGE, MASK, OWN), enlarged(colour_by_source(IMAGE, MASK, OWN), PANEL_PX))


@pytest.mark.parametrize(("height", "width", "factor"), [(64, 64, 5), (40, 64, 5), (300, 330, 1)])
def test_figure_shows_hole_result_and_sources_side_by_side(height: int, width: int, factor: int) -> None:
    image = np.random.default_rng(1).integers(0, 255, (height, width, 3), dtype=np.uint8)
    mask = np.zeros((height, width), np.uint8)
    mask[10:20, 10:20] = 255
    filled = np.where(mask[..., None] > 0, np.uint8(7), image)
    sources = np.indices(mask.shape)
    sources[0, 10:20, 10:20] += 12
    made = source_figure(image, mask, filled, sources)
    panel = height * factor, width * factor
    assert made.shape[1] >= 3 * panel[1]
    top, step = made.shape[0] - panel[0] - 4, made.shape[1] // 3
    shown = [made[top : top + panel[0], i * step : i * step + panel[1]] for i in range(3)]
    assert np.array_equal(shown[0][::factor, ::factor], np.where(mask[..., None] > 0, np.uint8(255), image))
    assert np.array_equal(shown[1][::factor, ::factor], filled)
    assert np.array_equal(shown[2], source_panel(image, mask, sources))
    assert np.array_equal(made, source_figure(image, mask, filled, sources))
