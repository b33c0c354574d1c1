"""The gallery and the rates have every kind."""

import numpy as np
import pytest

from benchmarks import mask_gallery, mask_rates
from pennet.masks import KINDS, numbered_mask


def test_gallery_shows_the_masks_of_the_test_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mask_gallery, "DRAWS_OF_A_MEAN", 6)
    monkeypatch.setattr(mask_gallery, "SIDE_PX", 32)
    picture = mask_gallery.gallery()
    assert picture.shape[2] == 3
    step, left = 32 + mask_gallery.TEXT_PX + mask_gallery.GAP_PX, mask_gallery.NAMES_PX + 32 + mask_gallery.GAP_PX
    for line, kind in enumerate(KINDS):
        top = mask_gallery.GAP_PX + line * step
        cell = picture[top : top + 32, left : left + 32, 0] / 255
        mask = numbered_mask(kind.name, mask_gallery.SEED, 1, 64, 64)
        np.testing.assert_allclose(cell, mask.reshape(32, 2, 32, 2).mean(axis=(1, 3)), atol=0.01)


def test_rates_are_printed_for_the_kinds_asked_for(capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mask_rates, "ROUND_SECONDS", 0.001)
    assert mask_rates.main(["--size", "16", "--rounds", "1", "--kinds", "centre", "objects"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["centre", "objects"]
    assert all(int(line.split()[1].replace(",", "")) > 0 for line in lines)
