"""Checkpoints as other people save them: what is beside the weights, prefixes, half precision, pages instead of files."""

import argparse
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from pennet.errors import UserError
from pennet.released import load_released_generator
from tests.models.test_against_released import released_weights


@pytest.fixture(scope="module")
def weights() -> dict[str, torch.Tensor]:
    return released_weights()


def first(generator: torch.nn.Module) -> torch.Tensor:
    return generator.state_dict()["encoder.convs.0.weight"]


BESIDE: dict[str, Any] = {
    "epoch": np.int64(12),
    "best": np.float32(0.5),
    "loss": np.arange(3.0),
    "options": argparse.Namespace(lr=1e-4, name="celeba"),
    "where": Path("checkpoints") / "gen",
    "iteration": 5,
}


@pytest.mark.parametrize("wrappers", [("netG",), ("generator",), ("state_dict",), ("model", "generator"), ("params",)])
def test_weights_are_found_under_what_they_are_wrapped_in(
    wrappers: tuple[str, ...], weights: dict[str, torch.Tensor], tmp_path: Path
) -> None:
    content: Any = {f"module.{name}": value for name, value in weights.items()}
    for wrapper in reversed(wrappers):
        content = {wrapper: content, **BESIDE}
    torch.save(content, tmp_path / "gen.pth")
    assert torch.equal(first(load_released_generator(tmp_path / "gen.pth")), weights["dw_conv01.0.weight"])


@pytest.mark.parametrize("how", [{"_use_new_zipfile_serialization": False}, {}])
def test_half_precision_and_the_old_format_load(
    how: dict[str, bool], weights: dict[str, torch.Tensor], tmp_path: Path
) -> None:
    torch.save({name: value.half() for name, value in weights.items()}, tmp_path / "gen.pth", **how)
    loaded = first(load_released_generator(tmp_path / "gen.pth"))
    assert loaded.dtype == torch.float32
    assert torch.equal(loaded, weights["dw_conv01.0.weight"].half().float())


class Unknown:
    pass


class Bomb:
    def __init__(self, file: Path):
        self.file = file

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.file,)


def test_what_is_no_data_is_named_in_one_line_and_not_run(weights: dict[str, torch.Tensor], tmp_path: Path) -> None:
    for beside, name in ((Unknown(), "Unknown"), (Bomb(tmp_path / "exploded"), "getattr|Path")):
        torch.save({"netG": {}, "other": beside}, tmp_path / "gen.pth")
        with pytest.raises(UserError, match=f"gen.pth: holds a .*({name}), which is no data and is not loaded") as caught:
            load_released_generator(tmp_path / "gen.pth")
        assert "\n" not in str(caught.value)
        assert len(str(caught.value)) < 300
        assert "weights_only" not in str(caught.value)
    assert not (tmp_path / "exploded").exists()


@pytest.mark.parametrize("page", [b"<!DOCTYPE html><html>", b"\n  <html lang='en'>", b"\xef\xbb\xbf<!doctype HTML>"])
def test_a_web_page_is_called_one(page: bytes, tmp_path: Path) -> None:
    (tmp_path / "gen.pth").write_bytes(page + b"<body>Sign in to download</body>" * 100)
    with pytest.raises(UserError, match=r"gen\.pth: a web page, saved under this name; download the file itself") as caught:
        load_released_generator(tmp_path / "gen.pth")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", b"PK\x03\x04 cut", pickle.dumps({"a": 1}), b"\x80\x02}q."])
def test_what_is_no_checkpoint_is_one_line(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "gen.pth").write_bytes(content)
    with pytest.raises(UserError, match=r"gen\.pth") as caught:
        load_released_generator(tmp_path / "gen.pth")
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400
