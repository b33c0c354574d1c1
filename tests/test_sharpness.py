"""Sharpness in the library and on the command line: what it does, and what is no sharpness."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from pennet.cli import app
from pennet.config import MethodConfig
from pennet.errors import UserError
from pennet.generator_files import save_generator
from pennet.inference import inpaint, predict
from pennet.methods import build_generator
from pennet.models.initialisation import initialise
from pennet.sharpness import MAX_SHARPNESS, MIN_SHARPNESS, check_sharpness
from tests.configs import COPYING, small_ca, small_gntipt, small_recipe

RECIPES = {
    "pennet": small_recipe,
    "pennet-released": lambda **changes: small_recipe(attention_mode="released", **changes),
    "pennet-copies": lambda **changes: small_recipe(**COPYING | changes),
    "pennet-deepest": lambda **changes: small_recipe(attention_levels="deepest", **changes),
    "ca": small_ca,
    "gntipt": small_gntipt,
}
PICTURE = np.random.default_rng(0).integers(0, 256, (45, 51, 3), dtype=np.uint8)
HOLE = np.zeros((45, 51), np.uint8)
HOLE[18:30, 20:32] = 1
BAD = [
    0.0,
    0.999,
    -10.0,
    1e6 + 1,
    10**400,
    float("nan"),
    float("inf"),
    -float("inf"),
    True,
    "10",
    [10.0],
    1j,
]
every_method = pytest.mark.parametrize("name", RECIPES)


def built(recipe: MethodConfig) -> torch.nn.Module:
    """With the weights that every generator of its shape gets here: no weight knows of the softmax scale."""
    torch.manual_seed(0)
    generator = build_generator(recipe).eval()
    initialise(generator, "kaiming")  # larger weights: what attention does is then seen in a picture of bytes
    return generator


def prediction(generator: torch.nn.Module, sharpness: float | None = None) -> torch.Tensor:
    torch.manual_seed(1)
    image, mask = torch.rand(2, 3, 48, 48) * 2 - 1, torch.zeros(2, 1, 48, 48)
    mask[..., 16:30, 18:34] = 1
    return predict(generator, image, mask, sharpness)


@every_method
def test_no_sharpness_is_the_recipes_own_scale_to_the_bit(name: str) -> None:
    generator = built(RECIPES[name](softmax_scale=30.0))
    for own in (30, 30.0, np.float32(30)):
        assert torch.equal(prediction(generator, own), prediction(generator))
        assert np.array_equal(inpaint(generator, PICTURE, HOLE, own), inpaint(generator, PICTURE, HOLE))


@every_method
@pytest.mark.parametrize("sharpness", [MIN_SHARPNESS, 400.0, MAX_SHARPNESS])
def test_a_sharpness_is_the_scale_that_another_recipe_would_have_had(name: str, sharpness: float) -> None:
    generator, other = built(RECIPES[name]()), built(RECIPES[name](softmax_scale=sharpness))
    before = prediction(generator)
    sharper = prediction(generator, sharpness)
    assert torch.equal(sharper, prediction(other))
    assert not torch.equal(sharper, before)
    assert sharper.isfinite().all()
    assert torch.equal(prediction(generator), before)  # nothing is left of it


@pytest.mark.parametrize("value", BAD)
def test_what_is_no_sharpness_is_named_with_the_range_and_the_models_own(value: Any) -> None:
    with pytest.raises(UserError) as error:
        inpaint(built(small_recipe(softmax_scale=30.0)), PICTURE, HOLE, value)
    message = f"sharpness: expected a number from 1 to 1000000, got {value!r}; leave it out for the model's own (30)"
    assert str(error.value) == message


@pytest.mark.parametrize("value", [1, 1.0, 1e6, 10**6, np.float64(7.5), np.int64(7)])
def test_a_sharpness_comes_back_as_a_float(value: Any) -> None:
    assert check_sharpness(value) == value
    assert type(check_sharpness(value)) is float


@pytest.mark.parametrize("value", [10.0, float("nan")])
def test_a_generator_without_attention_takes_none(value: float) -> None:
    generator = built(small_recipe(attention_levels="none"))
    assert np.array_equal(inpaint(generator, PICTURE, HOLE, None), inpaint(generator, PICTURE, HOLE))
    with pytest.raises(UserError, match=rf"^sharpness: got {value}, and this generator has no attention to sharpen"):
        inpaint(generator, PICTURE, HOLE, value)


def command(folder: Path, recipe: MethodConfig, *options: str) -> tuple[int, str]:
    """Runs `pennet inpaint` in a folder; the result is `out.png` there."""
    Image.fromarray(PICTURE).save(folder / "photo.png")
    Image.fromarray(HOLE * 255).save(folder / "mask.png")
    save_generator(built(recipe), recipe, folder / "model")
    paths = [str(folder / name) for name in ("photo.png", "mask.png", "out.png")]
    whole = ["--strategy", "original", "--overwrite", "--device", "cpu"]
    arguments = ["inpaint", *paths[:2], "-o", paths[2], "--model", str(folder / "model"), *whole, *options]
    result = CliRunner().invoke(app, arguments)
    return result.exit_code, result.stderr.splitlines()[-1] if result.exit_code else ""


@every_method
def test_the_command_line_sharpens_as_the_library_does(name: str, tmp_path: Path) -> None:
    recipe = RECIPES[name](softmax_scale=30.0)
    own, sharper = (inpaint(built(recipe), PICTURE, HOLE, sharpness) for sharpness in (None, 400.0))
    assert not np.array_equal(own, sharper)
    for options, expected in ([], own), (["--sharpness", "30"], own), (["--sharpness", "400"], sharper):
        assert command(tmp_path, recipe, *options) == (0, "")
        assert np.array_equal(np.asarray(Image.open(tmp_path / "out.png")), expected)


@pytest.mark.parametrize("value", ["0", "0.999", "-10", "1000001", "nan", "inf", "-inf"])
def test_the_command_line_refuses_in_one_line(value: str, tmp_path: Path) -> None:
    code, output = command(tmp_path, small_recipe(softmax_scale=30.0), "--sharpness", value)
    range_and_value = f"expected a number from 1 to 1000000, got {float(value)}"
    assert (code, output) == (1, f"pennet: sharpness: {range_and_value}; leave it out for the model's own (30)")
    assert not (tmp_path / "out.png").exists()


def test_the_command_line_says_that_there_is_no_attention(tmp_path: Path) -> None:
    code, output = command(tmp_path, small_recipe(attention_levels="none"), "--sharpness", "10")
    assert (code, output) == (
        1,
        "pennet: sharpness: got 10.0, and this generator has no attention to sharpen; leave it out",
    )
