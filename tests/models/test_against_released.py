"""Equality with the authors' released generator: same weights, same pictures in, same pictures out."""

import zlib
from pathlib import Path

import numpy as np
import pytest
import torch

from pennet.models.discriminators import PatchDiscriminator
from pennet.models.pennet import PENNet
from pennet.released import load_released_generator, released_names

GOLDEN = np.load(Path(__file__).parents[1] / "golden" / "released-generator.npz")
CASES = sorted({name.split("/")[0] for name in GOLDEN.files})


def released_weights() -> dict[str, torch.Tensor]:
    """Weights that anyone can make again from the names and shapes alone."""
    shapes = {ours: value.shape for ours, value in PENNet().state_dict().items()}
    return {
        theirs: torch.from_numpy(
            np.random.default_rng(zlib.crc32(theirs.encode())).standard_normal(shapes[ours]).astype(np.float32) * 0.05
        )
        for theirs, ours in released_names().items()
    }


@pytest.mark.parametrize("case", CASES)
def test_released_generator_equals_the_authors_output(case: str) -> None:
    generator = load_released_generator({"netG": released_weights()})
    with torch.inference_mode():
        output = generator(torch.from_numpy(GOLDEN[f"{case}/image"]), torch.from_numpy(GOLDEN[f"{case}/mask"]).float())
    assert np.abs(output.image.numpy() - GOLDEN[f"{case}/output"]).max() <= 1e-4
    for scale, picture in enumerate(reversed(output.pyramid), start=1):  # the file counts from fine to coarse
        assert np.abs(picture.numpy() - GOLDEN[f"{case}/pyramid{scale}"]).max() <= 1e-4


def test_released_generator_loads_from_a_file(tmp_path: Path) -> None:
    torch.save({"netG": released_weights()}, tmp_path / "gen.pth")
    loaded = load_released_generator(tmp_path / "gen.pth").state_dict()
    assert torch.equal(loaded["encoder.convs.0.weight"], released_weights()["dw_conv01.0.weight"])


def test_released_generator_names_what_is_missing() -> None:
    weights = released_weights()
    del weights["torgb3.0.bias"]
    with pytest.raises(ValueError, match=r"missing torgb3\.0\.bias"):
        load_released_generator(weights)


def test_released_generator_refuses_a_file_that_is_no_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "gen.pth"
    path.write_bytes(b"not a checkpoint")
    with pytest.raises(ValueError, match=r"gen\.pth"):
        load_released_generator(path)


def test_released_generator_never_runs_code_in_a_checkpoint(tmp_path: Path) -> None:
    import pickle

    class Bomb:
        def __reduce__(self) -> tuple:
            return Path.touch, (tmp_path / "exploded",)

    path = tmp_path / "gen.pth"
    path.write_bytes(pickle.dumps({"netG": Bomb()}))
    with pytest.raises(ValueError, match=r"gen\.pth"):
        load_released_generator(path)
    assert not (tmp_path / "exploded").exists()


def test_parameter_counts_are_the_published_ones() -> None:
    def count(network: torch.nn.Module) -> int:
        return sum(p.numel() for p in network.parameters())

    assert count(PENNet(num_levels=6, base_width=32)) == 10_231_538
    assert count(PatchDiscriminator(64)) == 4_318_401
    assert PatchDiscriminator(4)(torch.zeros(1, 3, 256, 256)).shape == (1, 1, 27, 27)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"netG": 5}, "netG is a int, not a state dict"),
        ({"netG": {"dw_conv01.0.weight": 5}}, r"'dw_conv01\.0\.weight' is a int, not a named tensor"),
        ({3: torch.zeros(1)}, "3 is a Tensor, not a named tensor"),
        ({"dw_conv01.0.weight": torch.zeros(())}, r"not the released PEN-Net generator: missing dw_conv01\.0\.bias"),
        ({"dw_conv01.0.weight": torch.zeros(0, 4, 3, 3)}, "not the released PEN-Net generator"),
        ([], "holds a list, not a state dict"),
    ],
)
def test_released_generator_refuses_what_is_no_state_dict(tmp_path: Path, content: object, message: str) -> None:
    path = tmp_path / "gen.pth"
    torch.save(content, path)
    with pytest.raises(ValueError, match=rf"gen\.pth: .*{message}.*; give the file of the authors' generator"):
        load_released_generator(path)


def test_first_weight_without_dimensions_is_named() -> None:
    weights = released_weights() | {"dw_conv01.0.weight": torch.zeros(())}
    with pytest.raises(ValueError, match=r"dw_conv01\.0\.weight has shape \(\), not \(32, 4, 3, 3\)"):
        load_released_generator(weights)


def test_missing_file_and_folder_are_named(tmp_path: Path) -> None:
    for path in (tmp_path / "gen.pth", tmp_path):
        with pytest.raises(ValueError, match=f"{path}: no such file; give the file of the authors' generator"):
            load_released_generator(path)


@pytest.mark.parametrize("content", [b"\x80\x02.", b"\x80\x02}q\x01(X\x01\x00\x00\x00\xff", b"(dp0\nI1\n"])
def test_bytes_that_end_the_unpickler_early_are_no_checkpoint(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "gen.pth").write_bytes(content)
    with pytest.raises(ValueError, match=r"gen\.pth: not a PyTorch checkpoint"):
        load_released_generator(tmp_path / "gen.pth")
