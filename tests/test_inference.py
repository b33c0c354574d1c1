import resource
from pathlib import Path

import numpy as np
import pytest
import torch

from pennet.generator_files import load_generator, save_generator
from pennet.inference import inpaint, predict
from pennet.methods import build_generator
from tests.configs import small_recipe


@pytest.fixture
def generator() -> torch.nn.Module:
    torch.manual_seed(0)
    return build_generator(small_recipe()).eval()


def picture_and_mask(height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    mask = np.zeros((height, width), np.uint8)
    mask[height // 3 : 2 * height // 3, width // 3 : 2 * width // 3] = 1
    return rng.integers(0, 256, (height, width, 3), dtype=np.uint8), mask


@pytest.mark.parametrize("size", [(64, 64), (31, 97), (9, 200)])
def test_inpaint_keeps_every_known_pixel_at_any_size(generator: torch.nn.Module, size: tuple[int, int]) -> None:
    picture, mask = picture_and_mask(*size)
    result = inpaint(generator, picture, mask)
    assert result.shape == picture.shape
    assert np.array_equal(result[mask == 0], picture[mask == 0])
    assert not np.array_equal(result[mask == 1], picture[mask == 1])


def test_inpaint_takes_0_and_255_like_0_and_1(generator: torch.nn.Module) -> None:
    picture, mask = picture_and_mask(40, 40)
    assert np.array_equal(inpaint(generator, picture, mask), inpaint(generator, picture, mask * 255))


def test_inpaint_never_sees_the_hole(generator: torch.nn.Module) -> None:
    picture, mask = picture_and_mask(37, 45)
    spoilt = np.where(mask[..., None] > 0, np.uint8(255) - picture, picture)
    assert np.array_equal(inpaint(generator, picture, mask), inpaint(generator, spoilt, mask))


def test_padding_changes_nothing_where_it_is_not_needed(generator: torch.nn.Module) -> None:
    image, mask = torch.rand(1, 3, 48, 64) * 2 - 1, torch.zeros(1, 1, 48, 64)
    mask[..., 10:30, 10:30] = 1
    with torch.inference_mode():
        assert torch.equal(predict(generator, image, mask), generator(image, mask).image)


@pytest.mark.parametrize(
    ("picture", "mask", "message"),
    [
        (np.zeros((8, 8), np.uint8), np.zeros((8, 8), np.uint8), r"image: expected uint8 \(H, W, 3\), got uint8 \(8, 8\)"),
        (np.zeros((8, 8, 3)), np.zeros((8, 8), np.uint8), "image: expected uint8"),
        (np.zeros((8, 8, 3), np.uint8), np.zeros((8, 9), np.uint8), r"mask: expected shape \(8, 8\) like the image"),
        (np.zeros((8, 8, 3), np.uint8), np.full((8, 8), 3, np.uint8), r"mask: expected 0 and 1 .* got \[3\]"),
        (np.zeros((8, 8, 3), np.uint8), np.ones((8, 8), np.uint8), "mask: no pixel is known"),
    ],
)
def test_inpaint_refuses_what_does_not_fit(
    generator: torch.nn.Module, picture: np.ndarray, mask: np.ndarray, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        inpaint(generator, picture, mask)


def test_saved_generator_comes_back_the_same(generator: torch.nn.Module, tmp_path: Path) -> None:
    save_generator(generator, small_recipe(), tmp_path)
    picture, mask = picture_and_mask(40, 56)
    assert np.array_equal(inpaint(load_generator(tmp_path), picture, mask), inpaint(generator, picture, mask))


def test_a_save_that_finds_no_room_says_so_and_leaves_the_old_weights(generator: torch.nn.Module, tmp_path: Path) -> None:
    save_generator(generator, small_recipe(), tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    old_limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, old_limit[1]))  # no file of this process may grow beyond 2 kB
    try:
        with pytest.raises(OSError, match=r"cannot save weights .*generator\.safetensors.*free some disk space"):
            save_generator(generator, small_recipe(), tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old_limit)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_load_generator_names_what_is_wrong(generator: torch.nn.Module, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"holds no trained generator: .*config\.json is missing; train one first"):
        load_generator(tmp_path / "nothing")
    save_generator(generator, small_recipe(base_width=8), tmp_path)
    with pytest.raises(ValueError, match=r"generator\.safetensors does not fit config\.json"):
        load_generator(tmp_path)
    (tmp_path / "generator.safetensors").write_bytes(b"short")
    with pytest.raises(ValueError, match="holds no readable generator"):
        load_generator(tmp_path)
