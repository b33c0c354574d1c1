"""docs/failures.md: its pictures are small, all there, and made by the command that the page names."""

import re
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.failures import CELL_PX, FAILURES, MAX_BYTES, figure, write_jpeg
from pennet.inpainter import Inpainter
from tests.project import ROOT


def test_the_page_shows_every_failure_and_each_picture_is_small() -> None:
    shown = re.findall(r"\]\((pictures/[^)]+)\)", (ROOT / "docs/failures.md").read_text())
    assert shown == [f"pictures/failures-{failure.name}.jpg" for failure in FAILURES]
    for name in shown:
        assert (ROOT / "docs" / name).stat().st_size <= MAX_BYTES
        assert Image.open(ROOT / "docs" / name).height > CELL_PX


def test_a_figure_shows_the_hole_what_was_painted_and_the_photo(tmp_path: Path) -> None:
    made = figure(FAILURES[0], Inpainter("telea"))
    assert made.shape[1] > 3 * CELL_PX
    middle = len(made) // 2
    input_, filled, photo = (made[middle - 20 : middle + 20, start : start + CELL_PX] for start in (2, 306, 610))
    assert (input_ == 255).all(axis=2).any()
    assert not np.array_equal(filled, photo)
    write_jpeg(tmp_path / "a.jpg", made)
    assert (tmp_path / "a.jpg").stat().st_size <= MAX_BYTES
