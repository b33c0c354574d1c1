"""Where a hole is copied from, scale by scale, and the drawing of it."""

import dataclasses

import numpy as np
import pytest

from pennet.errors import UserError
from pennet.inference import find_sources
from pennet.level_figure import PANEL_PX, drawn_levels
from pennet.source_levels import source_levels
from tests.test_sources import COPYING, FILLS_FEATURES, GNTIPT, NO_ATTENTION, built, planted

RELEASED = dataclasses.replace(FILLS_FEATURES, attention_mode="released", full_resolution=False, patch_sizes=[1, 3])


@pytest.mark.parametrize("size", [(64, 64), (61, 67)])
def test_every_level_finds_the_only_copy_of_what_was_in_the_hole(size: tuple[int, int]) -> None:
    """The copy lies 24 px away, a whole number of cells at every scale."""
    image, mask = planted(*size)
    levels = source_levels(built(COPYING), np.where(mask[..., None] > 0, np.uint8(0), image), mask)
    assert [(level.scale, level.cell_px) for level in levels] == [(3, 8), (2, 4), (1, 2)]
    for level in levels:
        assert np.array_equal(level.sources, np.indices(mask.shape) - 24 * mask)


@pytest.mark.parametrize("finest", [1, 2])
def test_the_finest_level_is_what_the_result_was_copied_from(finest: int) -> None:
    rng = np.random.default_rng(3)
    image, mask = rng.integers(0, 256, (45, 51, 3), dtype=np.uint8), np.zeros((45, 51), np.uint8)
    mask[3:17, 20:51] = 255
    generator = built(dataclasses.replace(COPYING, finest_attention=finest))
    levels = source_levels(generator, image, mask)
    assert levels[-1].scale == finest
    assert np.array_equal(levels[-1].sources, find_sources(generator, image, mask))
    for level in levels:
        assert mask[tuple(level.sources)][mask > 0].mean() < 1  # known places, but where several are equally alike


def test_a_network_that_fills_features_alone_has_levels_too() -> None:
    image, mask = planted()
    levels = source_levels(built(FILLS_FEATURES), image, mask)
    assert [level.scale for level in levels] == [3, 2, 1]
    known = mask == 0
    for level in levels:
        assert np.array_equal(level.sources[:, known], np.indices(mask.shape)[:, known])


@pytest.mark.parametrize(
    ("recipe", "words"),
    [(NO_ATTENTION, "has no attention"), (GNTIPT, "has no attention"), (RELEASED, "as the authors' release does")],
    ids=["no attention", "gntipt", "released"],
)
def test_who_has_no_levels_says_so(recipe: object, words: str) -> None:
    with pytest.raises(UserError, match=f"^source levels: .*{words}"):
        source_levels(built(recipe), *planted())


def test_the_drawing_marks_the_point_and_its_source() -> None:
    image, mask = planted()
    image[:] = 128
    sources = np.indices(mask.shape) - 24 * mask
    levels = [level._replace(sources=sources) for level in source_levels(built(COPYING), *planted())]
    for (picture, words), level in zip(drawn_levels(image, mask, levels, (36, 36)), levels, strict=True):
        assert words == f"Level {level.scale}, cells of {level.cell_px} px"
        assert max(picture.shape) >= PANEL_PX
        changed = np.argwhere((picture != 128).any(axis=2)) * 64 / len(picture)
        assert changed.min() > 8 - 3  # the source's cell, and around it the border's width
        assert changed.max() < 40 + 3
        pink, yellow = (np.argwhere((picture == colour).all(axis=2)) for colour in ((240, 80, 140), (255, 205, 50)))
        assert np.allclose(pink.mean(axis=0) - yellow.mean(axis=0), 24 * len(picture) / 64, atol=30)


def test_a_point_outside_of_the_hole_is_refused_and_one_without_a_source_said() -> None:
    image, mask = planted()
    levels = source_levels(built(COPYING), np.full_like(image, 90), mask)
    with pytest.raises(UserError, match="line 3, column 70 is outside of the hole"):
        drawn_levels(image, mask, levels, (3, 70))
    with pytest.raises(UserError, match="line 3, column 4 is outside of the hole"):
        drawn_levels(image, mask, levels, (3, 4))
    assert all("no single place" in words for _, words in drawn_levels(image, mask, levels, (36, 36)))
