"""One Inpainter for any photo: known pixels, what is never seen, what a person is told, and the kinds of a notebook."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from safetensors.torch import load_file, save_file
from scipy import ndimage

import pennet
from pennet.errors import UserError
from pennet.generator_files import load_generator, save_generator
from pennet.inference import inpaint
from pennet.inpainter import STRATEGIES, Inpainter
from pennet.inpainting import models
from pennet.inpainting.memory import TooLittleMemoryError
from pennet.methods import build_generator
from pennet.models.initialisation import initialise
from pennet.seeding import seed_everything
from tests.configs import small_recipe
from tests.models.test_against_released import released_weights

TRAINED_PX = 16


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A generator that never was trained, in a folder that says it was at 16 px."""
    folder = tmp_path_factory.mktemp("generator")
    seed_everything(0)
    recipe = small_recipe()
    generator = build_generator(recipe)
    initialise(generator, "kaiming")
    save_generator(generator, recipe, folder)
    (folder / "identity.json").write_text(json.dumps({"prepare.image_size_px": str(TRAINED_PX)}))
    return folder


@pytest.fixture(scope="module")
def inpainter(folder: Path) -> Inpainter:
    return Inpainter(folder, "cpu")


def photo(height: int, width: int, dtype: type = np.uint8, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, np.iinfo(dtype).max, (height, width, 3), dtype=dtype, endpoint=True)


def hole(height: int, width: int, top: int, left: int, side: int) -> np.ndarray:
    mask = np.zeros((height, width), np.uint8)
    mask[top : top + side, left : left + side] = 1
    return mask


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


def test_models_by_name(folder: Path, tmp_path: Path) -> None:
    assert Inpainter(folder).trained_size_px == TRAINED_PX
    assert Inpainter(folder / "generator.safetensors").trained_size_px == TRAINED_PX
    assert Inpainter("telea").trained_size_px is None
    torch.save({"netG": released_weights(), "epoch": np.int64(12)}, tmp_path / "gen_00012.pth")
    assert Inpainter(tmp_path / "gen_00012.pth").trained_size_px == 256
    generator = load_generator(folder)
    assert Inpainter(generator, "cpu").generator is generator
    with pytest.raises(
        UserError, match=r"nothing: no such model; a model is default, one of mean, telea, .*models:/NAME@ALIAS"
    ):
        Inpainter("nothing")
    (tmp_path / "other.safetensors").write_bytes(b"")
    with pytest.raises(UserError, match=r"other\.safetensors: name its folder instead"):
        Inpainter(tmp_path / "other.safetensors")


def test_the_default_is_a_folder_with_its_card(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models, "SHIPPED", tmp_path)
    with pytest.raises(UserError, match="default: the shipped generator is missing"):
        Inpainter()
    for file in ("generator.safetensors", "config.json"):
        (tmp_path / file).write_bytes((folder / file).read_bytes())
    (tmp_path / "card.json").write_text('{"size_px": 96}')
    assert Inpainter().trained_size_px == 96


def test_a_registered_model_without_a_store_says_where_it_looked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    with pytest.raises(UserError, match=r"models:/x@champion: no mlflow\.db in this folder"):
        Inpainter("models:/x@champion")
    with pytest.raises(UserError, match="expected models:/NAME@ALIAS or models:/NAME/VERSION"):
        Inpainter("models:/x")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///elsewhere.db")
    with pytest.raises(UserError, match=r"MLFLOW_TRACKING_URI is sqlite:///elsewhere\.db, and there is no such file"):
        Inpainter("models:/x@champion")
    assert not list(tmp_path.iterdir())


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


@pytest.mark.parametrize("model", ["mean", "default"])
def test_a_device_that_is_none_is_refused_whatever_paints(model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    for device, why in (("nope", "is not auto, cpu, cuda or cuda:N"), ("cuda:1", "this machine has no usable CUDA device")):
        with pytest.raises(UserError, match=f"^device: '{device}'.*{why}"):
            Inpainter(model, device)


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


@pytest.mark.parametrize("model", [3, None, torch.nn.Linear(1, 1)])
def test_what_is_no_model_is_one_message(model: object) -> None:
    with pytest.raises(UserError, match=r"model: expected a name, a path or a generator, got a \w+; a model is default"):
        pennet.inpaint(photo(30, 30), hole(30, 30, 8, 9, 10), model)


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (lambda weights: weights[min(weights)].fill_(torch.nan), "holds what is no number"),
        (lambda weights: [weights.pop(name) for name in sorted(weights)[:3]], "Missing key.*; train it anew"),
        (lambda weights: [weights.pop(name) for name in list(weights)], "Missing key.*; train it anew"),
        (None, r"generator\.safetensors is missing"),
    ],
)
def test_weights_that_would_paint_nothing_of_use_are_refused(spoil, why: str, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_bytes((folder / "config.json").read_bytes())
    if spoil:
        weights = load_file(folder / "generator.safetensors")
        spoil(weights)
        save_file(weights, tmp_path / "generator.safetensors")
    with pytest.raises(UserError, match=why) as refused:
        Inpainter(tmp_path)
    assert len(str(refused.value).replace(str(tmp_path), "")) < 400 and "\n" not in str(refused.value)


def test_importing_the_library_imports_nothing_heavy() -> None:
    code = "import sys, pennet; print(sorted(set(sys.modules) & {'torch', 'numpy', 'PIL'}), callable(pennet.inpaint))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert result.stdout.strip() == "[] True"
