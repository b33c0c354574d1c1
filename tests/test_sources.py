"""Where a hole's pixels are copied from: what the library, the command line and the stages say of it."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from pennet.cli import app
from pennet.config import InpaintConfig, MethodConfig
from pennet.errors import UserError
from pennet.generator_files import save_generator
from pennet.inference import find_sources, inpaint
from pennet.methods import build_generator
from pennet.models.pennet import PENNet
from pennet.source_figure import source_figure
from pipelines import inpaint as inpaint_stage
from pipelines import layout
from pipelines.outputs import write_outputs
from pipelines.params import load_params
from pipelines.showcase import NUM_SHOWN, showcase
from tests.configs import small_runtime
from tests.prepared import write_prepared, write_test_masks
from tests.project import ROOT

RECIPES = load_params(ROOT / "params.yaml").recipes
COPYING = dataclasses.replace(RECIPES["pennet"], base_width=4, dilations=[1, 2])
FILLS_FEATURES = dataclasses.replace(COPYING, fills=["features"], affinity="cosine")
NO_ATTENTION = dataclasses.replace(COPYING, attention_levels="none")
GNTIPT = dataclasses.replace(RECIPES["gntipt"], base_width=8)
RUNTIME = small_runtime()


def built(recipe: MethodConfig) -> torch.nn.Module:
    """Untrained; a PEN-Net that copies shows its copy."""
    torch.manual_seed(0)
    generator = build_generator(recipe).eval()
    if isinstance(generator, PENNet):
        generator.start_from_copy()
        torch.nn.init.zeros_(generator.decoder.paint.bias)
    return generator


def planted(height: int = 64, width: int = 64) -> tuple[np.ndarray, np.ndarray]:
    """Noise of which one block occurs twice, and a hole in the second: the only good copy lies (-24, -24) away."""
    image = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    image[24:48, 24:48] = image[:24, :24]
    mask = np.zeros((height, width), np.uint8)
    mask[32:40, 32:40] = 1
    return image, mask


@pytest.mark.parametrize("size", [(64, 64), (61, 67)])
@pytest.mark.parametrize("finest", [1, 2])
def test_sources_are_where_the_hole_was_really_copied_from(
    size: tuple[int, int], finest: int, copies_as_they_stand: None
) -> None:
    image, mask = planted(*size)
    generator = built(dataclasses.replace(COPYING, finest_attention=finest))
    sources = find_sources(generator, np.where(mask[..., None] > 0, np.uint8(0), image), mask)
    expected = np.indices(mask.shape) - 24 * mask
    assert np.array_equal(sources, expected)
    assert np.array_equal(inpaint(generator, image, mask)[mask > 0], image[tuple(sources)][mask > 0])


def test_sources_name_a_place_in_the_picture_for_masks_of_any_form() -> None:
    rng = np.random.default_rng(3)
    image, mask = rng.integers(0, 256, (45, 51, 3), dtype=np.uint8), np.zeros((45, 51), np.uint8)
    mask[3:17, 20:51] = 1
    mask[30:33, 4:31] = 1
    sources = find_sources(built(COPYING), image, mask)
    known, own = mask == 0, np.indices(mask.shape)
    assert np.array_equal(sources[:, known], own[:, known])
    assert sources.min() >= 0
    assert (sources < np.array([45, 51])[:, None, None]).all()
    assert mask[tuple(sources)][mask > 0].mean() == 0


@pytest.mark.parametrize("case", ["flat", "all but a corner"])
def test_where_nothing_is_most_alike_a_hole_pixel_names_itself(case: str) -> None:
    image, mask = planted()
    if case == "flat":
        image[:] = 90
    else:
        mask[:] = 1
        mask[0, 0] = 0
    assert np.array_equal(find_sources(built(COPYING), image, mask), np.indices(mask.shape))


@pytest.mark.parametrize("recipe", [FILLS_FEATURES, NO_ATTENTION, GNTIPT], ids=["features", "no attention", "gntipt"])
def test_who_copies_no_pixels_says_so_and_refuses(recipe: MethodConfig) -> None:
    generator = built(recipe)
    assert not getattr(generator, "copies_pixels", False)
    with pytest.raises(UserError, match=r"^sources: this model copies no pixels"):
        find_sources(generator, *planted())
    if isinstance(generator, PENNet):
        with pytest.raises(ValueError, match="copies no pixels"):
            generator.sources(torch.zeros(1, 3, 64, 64), torch.zeros(1, 1, 64, 64))


def test_a_transfer_at_the_deepest_scale_alone_reaches_the_picture_only_if_it_serves_all_scales() -> None:
    deepest = dataclasses.replace(COPYING, attention_levels="deepest")
    assert not build_generator(deepest).copies_pixels
    assert build_generator(dataclasses.replace(deepest, finest_attention=deepest.num_levels)).copies_pixels


def command(folder: Path, recipe: MethodConfig, sources: str) -> tuple[int, str]:
    image, mask = planted(61, 67)
    Image.fromarray(image).save(folder / "photo.png")
    Image.fromarray(mask * 255).save(folder / "mask.png")
    save_generator(built(recipe), recipe, folder / "model")
    paths = [str(folder / name) for name in ("photo.png", "mask.png", "out.png")]
    options = ["--model", str(folder / "model"), "--device", "cpu", "--sources", str(folder / sources), "--overwrite"]
    result = CliRunner().invoke(app, ["inpaint", *paths[:2], "-o", paths[2], *options])
    return result.exit_code, result.stderr


def test_the_command_line_draws_the_figure_of_the_library(tmp_path: Path) -> None:
    assert command(tmp_path, COPYING, "sources.png")[0] == 0
    image, mask = planted(61, 67)
    generator = built(COPYING)
    filled = inpaint(generator, image, mask)
    expected = source_figure(image, mask, filled, find_sources(generator, image, mask))
    assert np.array_equal(np.asarray(Image.open(tmp_path / "sources.png")), expected)
    assert np.array_equal(np.asarray(Image.open(tmp_path / "out.png")), filled)
    before = (tmp_path / "sources.png").read_bytes()
    assert command(tmp_path, COPYING, "sources.png")[0] == 0
    assert (tmp_path / "sources.png").read_bytes() == before


@pytest.mark.parametrize("recipe", [FILLS_FEATURES, GNTIPT], ids=["features", "gntipt"])
def test_the_command_line_refuses_in_one_line_and_writes_nothing(recipe: MethodConfig, tmp_path: Path) -> None:
    code, output = command(tmp_path, recipe, "sources.png")
    reason = "this model copies no pixels; a PEN-Net with picture in its fills does, leave it out for others"
    assert (code, output) == (1, f"pennet: sources: {reason}\n")
    assert not (tmp_path / "out.png").exists()
    assert not (tmp_path / "sources.png").exists()


def test_the_command_line_draws_png_only(tmp_path: Path) -> None:
    code, output = command(tmp_path, COPYING, "sources.jpg")
    assert (code, output.count("\n")) == (1, 1)
    assert "sources.jpg: the result is a PNG" in output
    assert not (tmp_path / "out.png").exists()


def test_showcase_takes_the_middle_of_each_quarter_by_contrast() -> None:
    rng = np.random.default_rng(0)
    contrasts = rng.permutation(20)
    images = np.full((20, 8, 8, 3), 100, np.uint8)
    images[:, ::2] += contrasts[:, None, None, None].astype(np.uint8)
    assert [contrasts[i] for i in showcase(images)] == [2, 7, 12, 17]
    assert len(showcase(images[:2])) == 2
    assert showcase(images[:1]) == [0]
    grey = images.copy()
    grey[..., 0] += 60  # another colour is no contrast
    assert showcase(grey) == showcase(images)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> np.ndarray:
    """A data set `d` of six planted pictures of different contrast, two of them in a subfolder."""
    monkeypatch.chdir(tmp_path)
    image, mask = planted()
    images = np.stack([(image // (7 - i)).astype(np.uint8) for i in range(6)])
    names = [f"{'more/' * (i % 3 == 0)}{i}" for i in range(6)]
    write_prepared(layout.prepared_dir("d"), test={f"{name}.png": image for name, image in zip(names, images, strict=True)})
    write_test_masks(layout.masks_dir("d"), names, centre=[mask] * 6)
    return images


def fill(method: str, recipe: MethodConfig) -> dict[str, bytes]:
    save_generator(built(recipe), recipe, layout.model_dir("d", method, 1))
    inpaint_stage.run("d", method, 1, inpaint=InpaintConfig(batch_size=4), runtime=RUNTIME)
    folder = layout.filled_dir("d", method, 1, "centre")
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*.*")}


def test_inpaint_keeps_the_sources_of_the_showcase_and_of_it_alone(project: np.ndarray) -> None:
    first = fill("pennet", COPYING)
    shown = showcase(project)
    names = [f"{'more/' * (i % 3 == 0)}{i}" for i in shown]
    assert len(names) == NUM_SHOWN
    assert {name for name in first if name.endswith(".npy")} == {f"sources/{name}.npy" for name in names}
    _, mask = planted()
    for name in names:
        sources = np.load(layout.sources_dir("d", "pennet", 1, "centre") / f"{name}.npy")
        assert sources.dtype == np.int16
        assert np.array_equal(sources, np.indices(mask.shape) - 24 * mask)
    assert fill("pennet", COPYING) == first
    others = fill("features", FILLS_FEATURES)
    assert {name.partition("/")[0] for name in others} == {"prediction", "composite"}
    assert not {name for name in others if name.endswith(".npy")}


def test_outputs_without_sources_are_pictures_alone(tmp_path: Path) -> None:
    image, mask = planted()
    write_outputs(tmp_path / "out", {"centre": ([("a", image, mask, image)], ())})
    assert sorted(path.name for path in (tmp_path / "out/centre").iterdir()) == ["composite", "prediction"]
