"""What is taken as a picture and its mask, and what is said of everything else."""

import base64
import io
import struct
import zlib
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms

from pennet.errors import UserError
from pennet.picture_pairs import TooLargeError, UnknownKindError, answer_like, check_pairs

RNG = np.random.default_rng(0)
IMAGE = RNG.integers(0, 256, (6, 8, 3), dtype=np.uint8)
IMAGE[0, 0] = 0, 255, 128
MASK = np.zeros((6, 8), np.uint8)
MASK[2:4, 2:5] = 1


def file(array: np.ndarray, kind: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, format=kind, **options)
    return buffer.getvalue()


def text(content: bytes) -> str:
    return base64.b64encode(content).decode()


def bomb(side_px: int) -> bytes:
    """A PNG of few bytes that says it is large, and has no pixels at all."""
    header = struct.pack(">II5B", side_px, side_px, 8, 2, 0, 0, 0)
    chunks = [
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in ((b"IHDR", header), (b"IDAT", zlib.compress(b"")), (b"IEND", b""))
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


@pytest.mark.parametrize(
    "image",
    [
        IMAGE,
        IMAGE.astype(np.int64),
        IMAGE.tolist(),
        IMAGE.astype(object),
        file(IMAGE),
        text(file(IMAGE)),
        f"data:image/png;base64,{text(file(IMAGE))}",
        file(IMAGE, "BMP"),
        file(IMAGE, "TIFF"),
        file(IMAGE, "WEBP", lossless=True),
    ],
    ids=["bytes", "int64", "lists", "objects", "png", "base64", "data url", "bmp", "tiff", "webp"],
)
@pytest.mark.parametrize(
    "mask",
    [MASK, 255 * MASK, MASK.astype(bool), MASK.tolist(), file(255 * MASK), file(MASK), text(file(255 * MASK))],
    ids=["bytes", "255", "booleans", "lists", "png", "png of 0 and 1", "base64"],
)
def test_every_form_is_the_same_pair(image: Any, mask: Any) -> None:
    (pair,) = check_pairs([image], [mask])
    assert pair.image.dtype == pair.mask.dtype == np.uint8
    assert np.array_equal(pair.image, IMAGE)
    assert np.array_equal(pair.mask, MASK)


def test_files_are_read_as_data_sets_are() -> None:
    """The right side up, 16 bits as 8, and in sRGB: of each one example, by Pillow and by arithmetic."""
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = file(np.ascontiguousarray(np.rot90(IMAGE)), exif=exif)  # the camera was held a quarter turn to the left
    deep = (RNG.integers(0, 256, (6, 8)) * 257).astype(np.uint16)
    grey = file(IMAGE[..., 0], "JPEG", quality=95)
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    images = [turned, file(deep), grey, file(IMAGE, icc_profile=profile)]
    expected = [
        IMAGE,
        np.repeat((deep // 257).astype(np.uint8)[..., None], 3, axis=2),
        np.array(Image.open(io.BytesIO(grey)).convert("RGB")),
        IMAGE,
    ]
    for pair, picture in zip(check_pairs(images, [MASK] * len(images)), expected, strict=True):
        assert np.array_equal(pair.image, picture)


EMPTY, FULL = np.zeros_like(MASK), np.ones_like(MASK)
CLEAR = np.dstack([IMAGE, IMAGE[..., 0]])
REFUSED: list[tuple[Any, Any, str]] = [
    (
        IMAGE / 255.0,
        MASK,
        r"image\[0\]: expected uint8 \(H, W, 3\) from 0 to 255, RGB, got float64 from 0 to 1; make of 0.0",
    ),
    ((IMAGE / 255.0).tolist(), MASK, r"image\[0\]: .* got float64 from 0 to 1; .*\(255 \* x\)\.round"),
    ((IMAGE / 255.0).astype(np.float32), MASK, r"image\[0\]: .* got float32"),
    (IMAGE.astype(float), MASK, r"image\[0\]: .* got float64 from 0 to 255"),
    ((IMAGE / 255.0).astype(object), MASK, r"image\[0\]: .* got float64"),
    (IMAGE.astype(np.int32) + 1, MASK, r"image\[0\]: .* got numbers from 1 to 256"),
    (IMAGE.astype(np.int16) - 1, MASK, r"image\[0\]: .* got numbers from -1 to 254"),
    (IMAGE > 9, MASK, r"image\[0\]: .* got booleans"),
    (IMAGE[..., 0], MASK, r"image\[0\]: .* got shape \(6, 8\)"),
    (CLEAR, MASK, r"image\[0\]: .* got shape \(6, 8, 4\)"),
    (IMAGE.transpose(2, 0, 1), MASK, r"image\[0\]: .* got shape \(3, 6, 8\)"),
    (IMAGE[:0], MASK, r"image\[0\]: .* got shape \(0, 8, 3\)"),
    ([], MASK, r"image\[0\]: .* got nothing"),
    ([[[1, 2, 3]], [[1, 2, 3], [1, 2, 3]]], MASK, r"image\[0\]: .* got rows of different lengths"),
    (None, MASK, r"image\[0\]: .* got what is no array of numbers"),
    ({"b64": ""}, MASK, r"image\[0\]: .* got what is no array of numbers"),
    ("photo.png", MASK, r"image\[0\]: a text, but no base64 of a file"),
    (b"", MASK, r"image\[0\]: no picture that is read here; send one of AVIF, BMP, JPEG, PNG, TIFF, WebP"),
    (b"%!PS-Adobe-3.0", MASK, r"image\[0\]: no picture that is read here"),
    (file(IMAGE)[:60], MASK, r"image\[0\]: cannot be read as a picture"),
    (file(CLEAR), MASK, r"image\[0\]: has transparency"),
    (IMAGE, MASK[:5], r"mask\[0\]: expected 8x6 px like its image, got 8x5 px"),
    (IMAGE, MASK[..., None], r"mask\[0\]: expected 8x6 px like its image, got shape \(6, 8, 1\)"),
    (IMAGE, file(MASK[:, :7]), r"mask\[0\]: expected 8x6 px like its image, got 7x6 px"),
    (IMAGE, 2 * MASK, r"mask\[0\]: expected .* got \[0, 2\]"),
    (IMAGE, file(100 * MASK), r"mask\[0\]: brightest value 100"),
    (IMAGE, MASK / 2, r"mask\[0\]: expected .* got float64 from 0 to 0.5"),
    (IMAGE, EMPTY, r"mask\[0\]: no hole"),
    (IMAGE, file(EMPTY), r"mask\[0\]: no hole"),
    (IMAGE, FULL, r"mask\[0\]: no pixel is known"),
]


@pytest.mark.parametrize(("image", "mask", "message"), REFUSED)
def test_anything_else_is_refused_in_one_line(image: Any, mask: Any, message: str) -> None:
    with pytest.raises(UserError, match=f"^{message}") as error:
        check_pairs([image], [mask])
    assert "\n" not in str(error.value)


def test_the_picture_that_is_wrong_is_named() -> None:
    with pytest.raises(UserError, match=r"^image\[2\]"):
        check_pairs([IMAGE, file(IMAGE), IMAGE / 255], [MASK] * 3)
    with pytest.raises(UserError, match="image holds 2 pictures and mask 1"):
        check_pairs([IMAGE, IMAGE], [MASK])


def test_a_large_picture_is_refused_before_it_is_decoded() -> None:
    for large in (bomb(1000), bomb(60_000), text(bomb(1000)), np.zeros((1000, 1000, 3), np.uint8)):
        with pytest.raises(TooLargeError, match=r"^image\[0\]"):
            check_pairs([large], [MASK], max_pixels=999_999)
    with pytest.raises(TooLargeError, match=r"^mask\[0\]: 1000x1000 are 1000000 pixels, and at most 999999 are taken"):
        check_pairs([IMAGE], [bomb(1000)], max_pixels=999_999)
    check_pairs([IMAGE], [MASK], max_pixels=48)


def test_an_unknown_kind_is_told_from_a_broken_file() -> None:
    with pytest.raises(UnknownKindError):
        check_pairs([b"GIF89a"], [MASK])


def test_an_answer_has_the_form_of_what_was_asked() -> None:
    assert answer_like(IMAGE, IMAGE) is IMAGE
    for answer in (answer_like(b"", IMAGE), base64.b64decode(answer_like("", IMAGE))):
        assert np.array_equal(np.array(Image.open(io.BytesIO(answer))), IMAGE)
