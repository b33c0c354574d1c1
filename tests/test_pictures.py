import numpy as np
import pytest

from pennet.pictures import contact_sheet, enlarged, sheet

PICTURES = np.random.default_rng(0).integers(0, 256, (5, 64, 64, 3), dtype=np.uint8)


def test_sheet_shows_every_picture_enlarged_by_whole_pixels() -> None:
    made = sheet([[PICTURES[0], PICTURES[1]], [PICTURES[2], PICTURES[3]]], ["left", "right"])
    for picture in PICTURES[:4]:
        doubled = picture.repeat(2, axis=0).repeat(2, axis=1)
        windows = np.lib.stride_tricks.sliding_window_view(made[..., 0], (128, 128))
        assert (windows[:, :, ::64, ::64] == doubled[::64, ::64, 0]).all(axis=(2, 3)).any()


def test_sheet_enlarges_to_the_cell_it_is_told() -> None:
    made = sheet([[PICTURES[0], PICTURES[1]]], ["left", "right"], cell_px=150, title_px=30)
    assert made.shape[0] >= 30 + 192
    assert np.array_equal(made[30:222:3, 196:388:3], PICTURES[1])
    assert np.array_equal(made[32:224:3, 198:390:3], PICTURES[1])
    assert np.array_equal(sheet([[PICTURES[0]]], ["left"]), sheet([[PICTURES[0]]], ["left"], 128, 20))


def test_enlarged_leaves_a_large_picture_as_it_is() -> None:
    assert np.array_equal(enlarged(PICTURES[0], 64), PICTURES[0])
    assert np.array_equal(enlarged(PICTURES[0, :20], 65), np.kron(PICTURES[0, :20], np.ones((2, 2, 1), np.uint8)))


def test_sheet_refuses_a_row_without_a_title() -> None:
    with pytest.raises(ValueError, match="rows of 2 pictures"):
        sheet([[PICTURES[0]]], ["left", "right"])


def test_contact_sheet_holds_incomplete_rows() -> None:
    assert contact_sheet(list(PICTURES), 2).shape[0] > 3 * 64
