"""Equality with the authors' released generator: same weights, same pictures in, same pictures out."""

import zlib
from pathlib import Path

import numpy as np
import pytest
import torch

from pennet.models.discriminators import PatchDiscriminator
from pennet.models.pennet import PENNet
from pennet.models.released import load_released_generator, released_names

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
