"""LaMa's masks: their brush, their rectangles, their bound, told by geometry from the masks alone."""

import numpy as np
import pytest
from scipy.ndimage import distance_transform_edt
from scipy.ndimage import label as pieces

from pennet.masks import lama as module
from pennet.masks.lama import MEDIUM, THICK, THIN, lama_medium, lama_thick, lama_thin

KINDS = {lama_thin: (5, 15), lama_medium: (5, 55), lama_thick: (5, 105)}


@pytest.mark.parametrize("draw", KINDS)
def test_a_hole_of_at_most_half_that_scales_with_the_picture(draw) -> None:
    large = np.array([draw(np.random.default_rng(seed), 256, 256).mean() for seed in range(200)])
    small = np.array([draw(np.random.default_rng(seed), 64, 64).mean() for seed in range(400)])
    assert large.max() <= 0.5
    assert small.max() <= 0.5
    assert large.mean() == pytest.approx(small.mean(), rel=0.12)
    assert large.max() > 0.45
    assert large.min() < 0.1


@pytest.mark.parametrize("lengths", [THIN, MEDIUM, THICK])
def test_a_chain_is_as_wide_as_its_brush(lengths, monkeypatch: pytest.MonkeyPatch) -> None:
    """A chain of one segment: the largest disc inside it is the brush, which is drawn uniformly."""
    monkeypatch.setattr(module, "NUM_SEGMENTS", (1, 1))
    one = lengths._replace(chains=(1, 1), share_with_boxes=0)
    widths = []
    for seed in range(150):
        mask = np.pad(module._draw(np.random.default_rng(seed), 256, 256, one), 1)
        assert pieces(mask)[1] == 1
        widths.append(2 * distance_transform_edt(mask).max())
    thinnest, widest = 5, 5 + lengths.wider_px
    assert min(widths) >= thinnest - 1
    assert max(widths) <= widest + 3
    assert np.median(widths) == pytest.approx((thinnest + widest) / 2, rel=0.15)


def test_rectangles_have_the_sides_and_the_margin_of_the_table(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_chain", lambda *_: None)
    sides, edges = [], []
    for seed in range(600):
        only = THICK._replace(boxes=(1, 1), share_with_boxes=1)
        rows, columns = np.nonzero(module._draw(np.random.default_rng(seed), 256, 256, only))
        height, width = np.ptp(rows) + 1, np.ptp(columns) + 1
        assert len(rows) == height * width
        sides += [height, width]
        edges += [rows.min(), columns.min(), 255 - rows.max(), 255 - columns.max()]
    assert (min(sides), max(sides)) == (pytest.approx(30, abs=2), pytest.approx(150, abs=2))
    assert np.mean(sides) == pytest.approx(90, abs=5)
    assert min(edges) == 10


@pytest.mark.parametrize(("lengths", "share"), [(THIN, 0), (MEDIUM, 0.3), (THICK, 0.3)])
def test_rectangles_have_their_share(lengths, share: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_chain", lambda *_: None)
    have = [module._draw(np.random.default_rng(seed), 64, 64, lengths).any() for seed in range(800)]
    assert np.mean(have) == pytest.approx(share, abs=0.05)  # 3 standard deviations


def test_thin_masks_have_many_pieces_and_thick_ones_few() -> None:
    def number(draw) -> float:
        return np.median([pieces(draw(np.random.default_rng(seed), 256, 256))[1] for seed in range(100)])

    assert number(lama_thick) <= 3 < 4 <= number(lama_thin)
