"""`pennet.inpaint` in a notebook: every kind of picture comes back as that kind."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import pennet
from pennet.errors import UserError
from pennet.inpainter import Inpainter
from tests.inpainting.pictures import hole, photo


def test_every_kind_of_picture_comes_back_as_that_kind_and_the_same(folder: Path) -> None:
    pixels, mask = photo(30, 34), hole(30, 34, 8, 9, 10)
    expected = pennet.inpaint(pixels, mask, folder)
    assert np.array_equal(expected, Inpainter(folder).fill(pixels, mask).image)

    drawn = pennet.inpaint(Image.fromarray(pixels), Image.fromarray(255 * mask), folder)
    assert (drawn.mode, np.array_equal(np.asarray(drawn), expected)) == ("RGB", True)
    with_alpha = np.concatenate([pixels, photo(30, 34, seed=1)[..., :1]], axis=2)
    drawn = pennet.inpaint(Image.fromarray(with_alpha), mask > 0, folder)
    assert drawn.mode == "RGBA"
    assert np.array_equal(np.asarray(drawn), np.concatenate([expected, with_alpha[..., 3:]], axis=2))

    tensor = torch.from_numpy(pixels).permute(2, 0, 1)
    assert np.array_equal(pennet.inpaint(tensor, torch.from_numpy(mask)[None], folder).permute(1, 2, 0), expected)
    batch, masks = torch.stack([tensor, tensor.flip(2)]), torch.from_numpy(np.stack([mask, mask[:, ::-1]]))
    filled = pennet.inpaint(batch, masks[:, None], folder)
    assert np.array_equal(filled[0].permute(1, 2, 0), expected)
    for floats, how in ((tensor.float() / 127.5 - 1, {}), (tensor.float() / 255, {"value_range": (0, 1)})):
        painted = pennet.inpaint(floats, mask, folder, **how)
        assert torch.equal(painted[:, mask == 0], floats[:, mask == 0])
        unit = (painted + 1) / 2 if not how else painted
        assert np.abs(255 * unit.permute(1, 2, 0).numpy() - expected).max() <= 0.51


def test_all_pictures_of_a_batch_have_one_range() -> None:
    """Of a bright one alone nothing would tell."""
    mask = hole(30, 30, 8, 9, 10)
    batch = torch.from_numpy(np.stack([photo(30, 30), photo(30, 30) // 2 + 128])).permute(0, 3, 1, 2).float() / 127.5 - 1
    filled = pennet.inpaint(batch, mask, "mean")
    assert torch.equal(filled[1], pennet.inpaint(batch[1], mask, "mean", value_range=(-1, 1)))
    with pytest.raises(UserError, match="say value_range="):  # what is in the hole tells nothing
        pennet.inpaint(torch.where(torch.from_numpy(mask) > 0, -1.0, batch.abs()), mask, "mean")


class _Opened(Image.Image):
    """As what pillow_heif opens: a Pillow image of a class of another library."""


class _Wrapped(torch.Tensor):
    """As the tensors of torchvision."""


def test_classes_that_other_libraries_make_of_these_kinds_are_of_them() -> None:
    pixels, mask = photo(30, 30), hole(30, 30, 8, 9, 10)
    expected = pennet.inpaint(pixels, mask, "mean")
    opened, drawn = _Opened(), _Opened()
    opened.__setstate__([{}, "RGB", (30, 30), None, pixels.tobytes()])
    drawn.__setstate__([{}, "L", (30, 30), None, (255 * mask).tobytes()])
    assert np.array_equal(np.asarray(pennet.inpaint(opened, drawn, "mean")), expected)
    wrapped = torch.from_numpy(pixels).permute(2, 0, 1).as_subclass(_Wrapped)
    filled = pennet.inpaint(wrapped, torch.from_numpy(mask).as_subclass(_Wrapped), "mean")
    assert np.array_equal(filled.permute(1, 2, 0), expected)


def test_grey_stays_grey(folder: Path) -> None:
    mask = hole(30, 30, 8, 9, 10)
    grey = Image.fromarray(photo(30, 30)).convert("L")
    filled = pennet.inpaint(grey, mask, folder)
    assert filled.mode == "L"
    assert np.array_equal(np.asarray(filled)[mask == 0], np.asarray(grey)[mask == 0])
    assert pennet.inpaint(np.asarray(grey), mask, "mean").shape == (30, 30)


def test_what_could_be_read_in_two_ways_is_refused(folder: Path) -> None:
    pixels, mask = photo(30, 30), hole(30, 30, 8, 9, 10)
    tensor = torch.from_numpy(pixels).permute(2, 0, 1)
    for image, holes, how, message in (
        (tensor.float() / 255, mask, {}, r"of \[0, 1\] or of \[-1, 1\]; say value_range="),
        (tensor.float(), mask, {"value_range": (0, 1)}, r"expected floats in \[0, 1\], got 0 to 255"),
        (pixels, mask, {"value_range": (0, 1)}, "value_range: says what the floats of a torch tensor mean"),
        (pixels / 255, mask, {}, r"image: expected uint8 or uint16 .*; of floats in .* make"),
        (Image.fromarray(pixels).convert("CMYK"), mask, {}, r"got CMYK; image\.convert\('RGB'\)"),
        (Image.fromarray(pixels[..., 0] * np.uint16(257)), mask, {}, r"got I;16; numpy\.asarray\(image\) keeps its 16 bits"),
        (pixels, Image.fromarray(pixels).convert("RGBA"), {}, r"mask: expected .* got RGBA; mask\.getchannel\('A'\)"),
        (pixels, Image.fromarray(pixels), {}, "mask: .* neither black nor white"),
        (pixels, mask.astype(object), {}, "got an array of object"),
        (pixels, "mask.png", {}, r"got a str; PIL\.Image\.open"),
        (tensor[None][:0], mask, {}, r"image: has no pixels, got \(0, 3, 30, 30\)"),
        (tensor.float(), mask, {}, r"expected floats in \[-1, 1\], got 0 to 255"),
        (pixels, mask * 0.5, {}, "mask > THRESHOLD makes booleans"),
        ([1, 2], mask, {}, "image: expected a PIL image, a NumPy array or a torch tensor, got a list"),
        (tensor, np.stack([mask, mask, mask]), {}, "mask: expected"),
    ):
        with pytest.raises(UserError, match=message):
            pennet.inpaint(image, holes, folder, **how)


def test_what_a_picture_carries_and_how_its_bytes_lie_comes_back() -> None:
    pixels, mask = photo(30, 30), hole(30, 30, 8, 9, 10)
    image = Image.fromarray(pixels)
    image.info = {"icc_profile": b"profile", "dpi": (300, 300)}
    assert pennet.inpaint(image, mask, "mean").info == image.info
    deep = photo(30, 30, np.uint16)
    for order in "<>":
        filled = pennet.inpaint(deep.astype(f"{order}u2"), mask, "mean", feather_px=np.int64(0))
        assert filled.dtype == np.dtype(f"{order}u2")
        assert np.array_equal(filled, pennet.inpaint(deep, mask, "mean"))
