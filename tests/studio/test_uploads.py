"""What a visitor brings: limits, holes painted at another size than the photo's, masks."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pennet.errors import UserError
from pennet.studio.limits import Limits
from pennet.studio.uploads import SHOWN_PX, as_layer, painted, read_job, read_upload, shaded, shown
from tests.studio.running import write_mask, write_photo

LIMITS = Limits(megabytes=1, megapixels=1, keep_minutes=5)


def layer(height: int, width: int, lines: slice, columns: slice) -> Image.Image:
    picture = np.zeros((height, width, 4), np.uint8)
    picture[lines, columns] = 255
    return Image.fromarray(picture)


def test_what_was_painted_covers_the_same_part_of_a_larger_photo() -> None:
    value = {"layers": [layer(50, 100, slice(10, 20), slice(30, 60)), layer(50, 100, slice(40, 50), slice(0, 5))]}
    hole = painted(value, 200, 400)
    assert hole[40:80, 120:240].all()
    assert hole[160:200, 0:20].all()
    assert abs(hole.mean() - (10 * 30 + 10 * 5) / 5000) < 0.02  # a pixel of the editor more at each border, at most
    assert np.array_equal(
        painted(value, 50, 100) > 0, np.array(value["layers"][0])[..., 3] + np.array(value["layers"][1])[..., 3] > 0
    )


@pytest.mark.parametrize("value", [None, {"layers": []}, {"layers": None}, {"layers": [layer(8, 8, slice(0), slice(0))]}])
def test_nothing_painted_is_no_hole(value: dict | None, tmp_path: Path) -> None:
    write_photo(tmp_path / "a.png", 0)
    assert not painted(value, 8, 8).any()
    with pytest.raises(UserError, match=r"^no hole: paint"):
        read_job(tmp_path / "a.png", value, None, False, False, LIMITS)


def test_a_mask_and_what_was_painted_are_one_hole(tmp_path: Path) -> None:
    write_photo(tmp_path / "a.png", 0)
    mask = write_mask(tmp_path / "mask.png") > 0
    as_shown = Image.fromarray(as_layer(mask.astype(np.uint8)))  # as the page gives it to the editor
    value = {"layers": [layer(128, 128, slice(0, 8), slice(0, 8)), as_shown]}
    for editor, hole in (({"layers": []}, mask.copy()), ({"layers": [as_shown]}, mask.copy()), (value, mask)):
        hole[:8, :8] |= editor is value
        job = read_job(tmp_path / "a.png", editor, tmp_path / "mask.png", False, False, LIMITS)
        assert np.array_equal(job.mask > 0, hole)
    with pytest.raises(UserError, match="covers the whole photo"):
        read_job(tmp_path / "a.png", {"layers": [layer(9, 9, slice(9), slice(9))]}, None, False, False, LIMITS)


def test_a_mask_is_exact_where_it_was_not_erased(tmp_path: Path) -> None:
    """Of a photo larger than the editor shows."""
    height, width = 700, 2 * SHOWN_PX
    Image.new("RGB", (width, height)).save(tmp_path / "a.png")
    mask = np.random.default_rng(0).random((height, width)) < 0.01
    Image.fromarray(mask).save(tmp_path / "mask.png")
    drawn = as_layer(mask.astype(np.uint8))
    assert drawn.shape == (height // 2, SHOWN_PX, 4)
    drawn[:, 1000:] = 0
    drawn[200:220, 10:20] = 255
    editor = {"layers": [Image.fromarray(drawn)]}
    job = read_job(tmp_path / "a.png", editor, tmp_path / "mask.png", False, False, Limits(1, 9, 5))
    assert np.array_equal(job.mask[:395, :1990], mask[:395, :1990])
    assert job.mask[400:440, 20:40].mean() > 0.5
    assert not job.mask[:, 2005:].any()


def test_messages_name_the_file_as_the_visitor_knows_it(tmp_path: Path) -> None:
    write_photo(tmp_path / "a.png", 0)
    write_mask(tmp_path / "small.png", side=64)
    with pytest.raises(UserError, match=r"^small\.png: 64 x 64 px, .* use “Resize to the photo’s size”"):
        read_job(tmp_path / "a.png", None, tmp_path / "small.png", False, False, LIMITS)
    (tmp_path / "b.png").write_bytes(b"no photo")
    with pytest.raises(UserError, match=r"^b\.png: ") as told:
        read_upload(tmp_path / "b.png", LIMITS)
    assert str(tmp_path) not in str(told.value)
    with pytest.raises(UserError, match=r"^gone\.png: uploads are deleted after 5 minutes; please upload it again$"):
        read_upload(tmp_path / "gone.png", LIMITS)
    with pytest.raises(UserError, match=r"^gone\.png: uploads are deleted after 5 minutes; please upload it again$"):
        read_job(tmp_path / "a.png", None, tmp_path / "gone.png", False, False, LIMITS)


def test_what_is_too_large_is_refused_before_it_is_decoded(tmp_path: Path) -> None:
    Image.new("L", (1000, 1200)).save(tmp_path / "wide.png")
    with pytest.raises(
        UserError, match=r"^wide\.png: 1000 x 1200 px are 1\.2 megapixels; this page takes photos of at most 1$"
    ):
        read_upload(tmp_path / "wide.png", LIMITS)
    (tmp_path / "heavy.png").write_bytes(bytes(3 * 2**20))
    with pytest.raises(UserError, match=r"^heavy\.png: 3\.0 MB; this page takes files of at most 1 MB$"):
        read_upload(tmp_path / "heavy.png", LIMITS)
    write_photo(tmp_path / "a.png", 0)
    for name in ("wide", "heavy"):  # a mask is decoded as a photo is
        with pytest.raises(UserError, match=rf"^{name}\.png: .*; this page takes (photos|files) of at most 1"):
            read_job(tmp_path / "a.png", None, tmp_path / f"{name}.png", False, True, LIMITS)


def test_a_browser_is_sent_eight_bits_of_a_bounded_size() -> None:
    deep = np.full((2000, 1000, 3), 0x1234, np.uint16)
    assert shown(deep).shape == (SHOWN_PX, SHOWN_PX // 2, 3)
    assert np.unique(shown(deep)).tolist() == [0x12]
    mask = np.zeros((2000, 1000), np.uint8)
    mask[:1000] = 1
    seen = shaded(deep, mask)
    assert (seen[: SHOWN_PX // 2 - 1] != 0x12).all()
    assert (seen[SHOWN_PX // 2 + 1 :] == 0x12).all()
