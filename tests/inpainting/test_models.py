"""What an Inpainter takes for a model, and what it refuses."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

import pennet
from pennet.errors import UserError
from pennet.generator_files import load_generator
from pennet.inpainter import Inpainter
from pennet.inpainting import models
from tests.inpainting.pictures import TRAINED_PX, hole, photo
from tests.models.test_against_released import released_weights


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


@pytest.mark.parametrize("model", ["mean", "default"])
def test_a_device_that_is_none_is_refused_whatever_paints(model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    for device, why in (("nope", "is not auto, cpu, cuda or cuda:N"), ("cuda:1", "this machine has no usable CUDA device")):
        with pytest.raises(UserError, match=f"^device: '{device}'.*{why}"):
            Inpainter(model, device)


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
