"""One Inpainter for any photo: known pixels, what is never seen, and what a person is told."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from pennet.errors import UserError
from pennet.generator_files import load_generator
from pennet.inference import inpaint
from pennet.inpainter import STRATEGIES, Inpainter
from pennet.inpainting.memory import TooLittleMemoryError
from tests.inpainting.pictures import TRAINED_PX, hole, photo


@pytest.fixture(scope="module")
def inpainter(folder: Path) -> Inpainter:
    return Inpainter(folder, "cpu")


@given(
    st.integers(9, 70), st.integers(9, 70), st.integers(0, 2**16), st.sampled_from(STRATEGIES), st.sampled_from(["B", "H"])
)
@settings(max_examples=40, deadline=None, derandomize=True)
def test_known_pixels_stay_and_a_holes_content_is_never_seen(
    inpainter: Inpainter, height: int, width: int, seed: int, strategy: str, letter: str
) -> None:
    rng = np.random.default_rng(seed)
    side = int(rng.integers(1, min(height, width)))
    mask = hole(height, width, int(rng.integers(0, height)), int(rng.integers(0, width)), side)
    mask[rng.integers(0, height), rng.integers(0, width)] = 1
    image = photo(height, width, np.dtype(letter).type, seed)
    filled = inpainter.fill(image, mask, strategy).image
    assert filled.dtype == image.dtype
    assert np.array_equal(filled[mask == 0], image[mask == 0])
    other = np.where(mask[..., None] > 0, np.iinfo(image.dtype).max - image, image)
    assert np.array_equal(inpainter.fill(other, mask, strategy).image, filled)


@pytest.mark.parametrize("model", ["telea", "mean"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_methods_without_training_keep_known_pixels(model: str, dtype: type, strategy: str) -> None:
    image, mask = photo(60, 50, dtype), hole(60, 50, 20, 10, 25)
    filled = Inpainter(model).fill(image, mask, strategy).image
    assert filled.dtype == dtype
    assert np.array_equal(filled[mask == 0], image[mask == 0])
    assert (filled[mask > 0] != image[mask > 0]).any()


@pytest.mark.parametrize("shape", [(1, 300), (300, 1)])
def test_of_a_single_line_nothing_beside_it_is_seen(shape: tuple[int, int]) -> None:
    """OpenCV's Telea took what lay in memory there, another time another."""
    image, mask = np.full((*shape, 3), 100, np.uint8), np.zeros(shape, np.uint8)
    mask.flat[[0, 150, 151, 299]] = 1
    inpainter, found = Inpainter("telea"), set()
    for seed in range(50):
        rng = np.random.default_rng(seed)
        used = [rng.integers(0, 256, 40 + seed, np.uint8) for _ in range(50)]  # what memory is taken from afterwards
        del used
        found.add(inpainter.fill(image, mask).image.tobytes())
    assert len(found) == 1


def test_a_picture_of_its_size_is_filled_as_the_library_does(inpainter: Inpainter, folder: Path) -> None:
    generator = load_generator(folder)
    for strategy in ("auto", "original", "crop", "resize"):
        image, mask = photo(20, 24), hole(20, 24, 6, 8, 9)
        assert np.array_equal(inpainter.fill(image, mask, strategy).image, inpaint(generator, image, mask))


def test_sixteen_bits_are_filled_with_sixteen(inpainter: Inpainter) -> None:
    image, mask = photo(40, 40), hole(40, 40, 10, 10, 9)
    fine = inpainter.fill(image.astype(np.uint16) * 257, mask).image
    assert np.abs(fine / 257 - inpainter.fill(image, mask).image).max() <= 0.51
    assert (fine[mask > 0] % 257).any()


def test_a_feather_reaches_as_far_as_it_says(inpainter: Inpainter) -> None:
    image, mask = photo(64, 64), hole(64, 64, 20, 20, 12)
    filled = inpainter.fill(image, mask, feather_px=4).image
    distance = ndimage.distance_transform_edt(mask == 0)
    changed = (filled != image).any(axis=2)
    assert not changed[distance > 4].any()
    assert changed[(distance > 0) & (distance <= 4)].mean() > 0.9
    with pytest.raises(UserError, match="feather: expected a whole number of pixels from 0 to 64, got -1"):
        inpainter.fill(image, mask, feather_px=-1)
    with pytest.raises(UserError, match="nothing is left that is known"):
        inpainter.fill(image, mask, feather_px=60)


def test_windows_are_counted_and_planned_as_they_are_filled(inpainter: Inpainter) -> None:
    image, mask = photo(200, 200), hole(200, 200, 10, 10, 8) + hole(200, 200, 100, 120, 40)
    seen: list[tuple[int, int]] = []
    filled = inpainter.fill(image, mask, "resize", progress=lambda done, of: seen.append((done, of)))
    assert seen == [(1, 2), (2, 2)]
    assert filled.plan == inpainter.plan(mask, "resize")
    assert [window.factor for window in filled.plan.windows] == [4, 1]
    assert filled.seconds > 0


def test_a_model_far_from_its_size_says_so(inpainter: Inpainter) -> None:
    mask = hole(96, 128, 20, 20, 30)
    (words,) = inpainter.plan(mask, "original").words
    assert f"learnt from pictures of {TRAINED_PX} px, and a hole of this photo of 128x96 px is 4 times too large" in words
    assert "auto or resize" in words
    assert "crop" in inpainter.plan(hole(96, 128, 20, 20, 5), "original").words[0]
    assert inpainter.plan(mask).words == ()
    (words,) = inpainter.plan(hole(500, 500, 100, 100, 100)).words
    assert "16 times smaller" in words


def test_what_cannot_be_filled_is_one_message(inpainter: Inpainter) -> None:
    image, mask = photo(20, 20), hole(20, 20, 5, 5, 5)
    for arguments, message in (
        ((image.astype(np.float32), mask), "image: expected uint8 or uint16"),
        ((image, mask[:10]), r"mask: expected shape \(20, 20\)"),
        ((image, mask * 7), r"mask: expected 0 and 1 \(or 0 and 255\), 1 = hole, got \[0, 7\]"),
        ((image, mask * 0), "mask: no hole"),
        ((image, mask * 0 + 1), "mask: no pixel is known"),
        ((image, mask, "large"), "strategy: expected one of auto, original, crop, resize, got 'large'"),
        ((image, mask, "auto", 0.5), "sharpness"),
    ):
        with pytest.raises(UserError, match=message):
            inpainter.fill(*arguments)
    with pytest.raises(UserError, match="telea has no attention to sharpen"):
        Inpainter("telea").fill(image, mask, sharpness=10.0)


def test_too_little_memory_is_said_before_the_work(inpainter: Inpainter, monkeypatch: pytest.MonkeyPatch) -> None:
    mask = hole(1500, 2000, 1000, 1000, 60)
    needed = inpainter.plan(mask).memory_bytes
    monkeypatch.setattr("pennet.inpainting.memory.available_bytes", lambda _generator: 2 * needed)
    with pytest.raises(
        TooLittleMemoryError, match=r"2000x1500 px with the strategy original needs about .* use the strategy"
    ):
        inpainter.plan(mask, "original")
    inpainter.plan(mask)
    monkeypatch.setattr("pennet.inpainting.memory.available_bytes", lambda _generator: 1)
    with pytest.raises(TooLittleMemoryError, match="end other programs, or make the photo smaller"):
        inpainter.plan(mask)


@pytest.mark.parametrize(
    "error",
    [MemoryError(), RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"),
     RuntimeError("[enforce fail] . DefaultCPUAllocator: not enough memory: you tried to allocate 9 bytes"),
     torch.OutOfMemoryError("CUDA out of memory.")],
)  # fmt: skip
def test_an_allocation_that_fails_is_that_message_too(
    inpainter: Inpainter, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fail(*_arguments: object) -> None:
        raise error

    monkeypatch.setattr("pennet.inpainting.painting.paint", fail)
    with pytest.raises(TooLittleMemoryError, match="a photo of 20x20 px with the strategy auto needs about"):
        inpainter.fill(photo(20, 20), hole(20, 20, 5, 5, 5))


def test_importing_the_library_imports_nothing_heavy() -> None:
    code = "import sys, pennet; print(sorted(set(sys.modules) & {'torch', 'numpy', 'PIL'}), callable(pennet.inpaint))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert result.stdout.strip() == "[] True"
