"""Exported files, run by ONNX Runtime, against the generators that they were exported from."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from typer.testing import CliRunner

from pennet import inference
from pennet.cli import app
from pennet.errors import UserError
from pennet.generator_files import save_generator
from pennet.inpainter import Inpainter
from pennet.inpainting import memory
from pennet.methods import build_generator
from pennet.onnx.exporting import OPSET, export_onnx
from pennet.onnx.running import OnnxGenerator, load_onnx
from tests.configs import COPYING, small_ca, small_gntipt, small_recipe
from tests.onnx.holes import holes

RECIPES = {
    "cosine": small_recipe(),
    "copying": small_recipe(**COPYING),
    "released": small_recipe(attention_mode="released"),
    "no attention": small_recipe(attention_levels="none"),
    "ca": small_ca(),
    "gntipt": small_gntipt(),
}


def _generator(recipe: str) -> torch.nn.Module:
    torch.manual_seed(0)
    return build_generator(RECIPES[recipe]).eval()


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("onnx")
    for recipe in RECIPES:
        export_onnx(_generator(recipe), folder / f"{recipe}.onnx", recipe, 32)
    assert len(list(folder.iterdir())) == len(RECIPES)  # one file each, nothing beside it
    return {recipe: folder / f"{recipe}.onnx" for recipe in RECIPES}


@pytest.mark.parametrize("recipe", RECIPES)
def test_one_file_for_every_size_batch_and_hole(files: dict[str, Path], recipe: str) -> None:
    generator, exported = _generator(recipe), load_onnx(files[recipe])
    torch.manual_seed(1)
    for batch, height, width in [(1, 8, 8), (2, 32, 32), (1, 64, 48), (3, 16, 24), (2, 40, 56)]:
        for mask in holes(batch, height, width):
            image = torch.rand(batch, 3, height, width) * 2 - 1
            image[mask.expand_as(image) > 0] = torch.nan  # what is in the hole is never seen
            with torch.inference_mode():
                expected, found = generator(image, mask).image, exported(image, mask).image
            assert found.isfinite().all()
            assert (found - expected).abs().max() < 1e-3


@pytest.mark.parametrize("recipe", ["copying", "ca"])
def test_sharpness_is_an_input_that_may_be_left_out(files: dict[str, Path], recipe: str) -> None:
    generator, exported = _generator(recipe), load_onnx(files[recipe])
    torch.manual_seed(2)
    image, mask = torch.rand(1, 3, 32, 32) * 2 - 1, next(holes(1, 32, 32))
    own, other = (inference.predict(exported, image, mask, sharpness) for sharpness in (None, 1.0))
    assert not torch.allclose(own, other, atol=1e-5)
    assert torch.allclose(other, inference.predict(generator, image, mask, 1.0), atol=1e-3)
    assert torch.equal(own, inference.predict(exported, image, mask, exported.softmax_scale))
    with pytest.raises(UserError, match="sharpness: expected a number from 1"):
        inference.predict(exported, image, mask, 0.5)


def test_no_sharpness_without_attention(files: dict[str, Path]) -> None:
    exported = load_onnx(files["no attention"])
    assert exported.attention_gib(1, 4000, 4000) == 0
    with pytest.raises(UserError, match="has no attention to sharpen"):
        inference.predict(exported, torch.zeros(1, 3, 32, 32), torch.zeros(1, 1, 32, 32), 10.0)


def test_known_pixels_come_back_bit_for_bit_at_odd_sizes(files: dict[str, Path]) -> None:
    picture = np.random.default_rng(3).integers(0, 256, (37, 51, 3), np.uint8)
    mask = np.zeros((37, 51), np.uint8)
    mask[10:20, 20:30] = 1
    filled = inference.inpaint(load_onnx(files["copying"]), picture, mask)
    assert (filled[mask == 0] == picture[mask == 0]).all()
    expected = inference.inpaint(_generator("copying"), picture, mask)
    assert np.abs(filled.astype(int) - expected).max() <= 1


def test_what_the_file_says(files: dict[str, Path]) -> None:
    model = onnx.load(files["copying"])
    onnx.checker.check_model(model, full_check=True)
    assert {entry.version for entry in model.opset_import} == {OPSET}
    metadata = {entry.key: entry.value for entry in model.metadata_props}
    expected = {"name": "copying", "unit_px": "8", "trained_size_px": "32", "softmax_scale": "100", "attention_cell_px": "2"}
    assert metadata == expected
    assert not any(value.data_location == onnx.TensorProto.EXTERNAL for value in model.graph.initializer)
    exported = load_onnx(files["copying"])
    assert (exported.name, exported.unit_px, exported.trained_size_px, exported.softmax_scale) == ("copying", 8, 32, 100)
    session = exported.session
    assert [value.shape for value in session.get_inputs()] == [["batch", c, "height", "width"] for c in (3, 1)]
    assert [value.shape for value in session.get_outputs()] == [["batch", 3, "height", "width"]]
    assert [value.name for value in session.get_overridable_initializers()] == ["sharpness"]
    assert not {node.op_type for node in model.graph.node} & {"NonZero", "Loop", "If", "Scan", "TopK", "Compress"}


def test_runs_in_a_process_without_torch(files: dict[str, Path], tmp_path: Path) -> None:
    script = """
import sys
sys.modules["torch"] = sys.modules["pennet"] = None  # importing them fails
import numpy, onnxruntime
image = numpy.load(sys.argv[2])
mask = numpy.zeros((1, 1, 32, 32), numpy.float32)
mask[:, :, 8:16, 8:16] = 1
session = onnxruntime.InferenceSession(sys.argv[1], providers=["CPUExecutionProvider"])
numpy.save(sys.argv[3], session.run(None, {"image": image, "mask": mask})[0])
"""
    image = np.random.default_rng(4).uniform(-1, 1, (1, 3, 32, 32)).astype(np.float32)
    np.save(tmp_path / "image.npy", image)
    paths = [files["copying"], tmp_path / "image.npy", tmp_path / "output.npy"]
    subprocess.run([sys.executable, "-c", script, *map(str, paths)], check=True, timeout=120)
    mask = torch.zeros(1, 1, 32, 32)
    mask[:, :, 8:16, 8:16] = 1
    with torch.inference_mode():
        expected = _generator("copying")(torch.from_numpy(image), mask).image
    assert np.abs(np.load(tmp_path / "output.npy") - expected.numpy()).max() < 1e-3


def test_dense_attention_beyond_the_memory_is_refused_with_its_size(files: dict[str, Path]) -> None:
    exported = OnnxGenerator(files["copying"], max_gib=0.01)
    assert exported.attention_gib(1, 256, 256) == 2.0  # 2 matrices of 128² x 128² float32
    with pytest.raises(
        UserError, match=r"1 x 128x96 px at once need some 0\.1 GiB .* more than 0\.01; use the model's folder"
    ):
        exported(torch.zeros(1, 3, 128, 96), torch.zeros(1, 1, 128, 96))
    with pytest.raises(ValueError, match="needs sides that divide by 8"):
        exported(torch.zeros(1, 3, 30, 32), torch.zeros(1, 1, 30, 32))


def test_dense_attention_is_part_of_the_estimate(files: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "available_bytes", lambda _: None)
    mask = np.zeros((256, 256), np.uint8)
    mask[100:120, 100:120] = 1
    plan = Inpainter(load_onnx(files["copying"]), "cpu").plan(mask, "original")
    assert 2.0 < plan.memory_bytes / 2**30 < 2.3  # and the pictures themselves


def test_other_files_are_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"none\.onnx: no such file; pennet export MODEL --onnx"):
        load_onnx(tmp_path / "none.onnx")
    (tmp_path / "broken.onnx").write_bytes(b"no protobuf")
    with pytest.raises(UserError, match=r"broken\.onnx: not an ONNX file that can be run"):
        load_onnx(tmp_path / "broken.onnx")
    x, y = (onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1]) for name in "xy")
    graph = onnx.helper.make_graph([onnx.helper.make_node("Identity", ["x"], ["y"])], "other", [x], [y])
    other = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", OPSET)], ir_version=8)
    onnx.save(other, tmp_path / "other.onnx")
    assert onnxruntime.InferenceSession(str(tmp_path / "other.onnx"))
    with pytest.raises(UserError, match=r"other\.onnx: an ONNX file of something else"):
        load_onnx(tmp_path / "other.onnx")


@pytest.fixture
def trained(tmp_path: Path) -> Path:
    folder = tmp_path / "trained"
    save_generator(_generator("cosine"), RECIPES["cosine"], folder)
    (folder / "identity.json").write_text(json.dumps({"prepare.image_size_px": "32"}))
    return folder


def test_command(trained: Path, tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["export", str(trained), "--onnx", str(tmp_path / "out" / "model.onnx")])
    assert result.exit_code == 0, result.output
    assert "model.onnx: trained, 0.0 MiB, sides that divide by 8 px, trained at 32 px" in " ".join(result.output.split())
    assert load_onnx(tmp_path / "out" / "model.onnx").trained_size_px == 32


def test_command_replaces_a_file_only_if_told(trained: Path, tmp_path: Path) -> None:
    there = tmp_path / "model.onnx"
    there.write_bytes(b"of somebody")
    result = CliRunner().invoke(app, ["export", str(trained), "--onnx", str(there)])
    assert (result.exit_code, "exists; --overwrite replaces it" in " ".join(result.output.split())) == (1, True)
    assert there.read_bytes() == b"of somebody"
    result = CliRunner().invoke(app, ["export", str(there), "--onnx", str(there), "--overwrite"])
    assert (result.exit_code, "is an input" in " ".join(result.output.split())) == (1, True)
    assert there.read_bytes() == b"of somebody"
    result = CliRunner().invoke(app, ["export", str(trained), "--onnx", str(there), "--overwrite"])
    assert result.exit_code == 0, result.output
    assert load_onnx(there).trained_size_px == 32


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["{trained}", "--onnx", "model.pt"], "model.pt: the result is an ONNX file; choose a name that ends in .onnx"),
        (["{folder}", "--onnx", "model.onnx"], "holds no trained generator"),
        (["telea", "--onnx", "model.onnx"], "telea: a method without training; name a trained generator"),
    ],
)
def test_command_says_what_is_wrong(trained: Path, tmp_path: Path, arguments: list[str], message: str) -> None:
    arguments = [argument.format(trained=trained, folder=tmp_path) for argument in arguments]
    result = CliRunner().invoke(app, ["export", *arguments[:-1], str(tmp_path / arguments[-1])])
    assert result.exit_code == 1
    assert message in result.output
    assert {path.name for path in tmp_path.iterdir()} == {"trained"}


def test_without_onnx_the_extra_is_named(monkeypatch: pytest.MonkeyPatch, trained: Path, tmp_path: Path) -> None:
    import importlib.util

    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name.startswith("onnx") else find(name))
    result = CliRunner().invoke(app, ["export", str(trained), "--onnx", str(tmp_path / "model.onnx")])
    assert result.exit_code == 1
    assert 'onnx, onnxruntime: not installed; pip install "pennet[onnx]"' in " ".join(result.output.split())
