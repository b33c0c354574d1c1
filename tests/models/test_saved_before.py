"""PEN-Nets that were saved before they could fill pictures: same names, same shapes, and they still fill holes."""

import json
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from pennet.generator_files import load_generator
from pennet.inference import inpaint
from pennet.models.pennet import PENNet

OLD_CONFIG = {
    "method": "pennet",
    "num_levels": 3,
    "base_width": 4,
    "attention_mode": "paper",
    "attention_levels": "all",
    "affinity": "cosine",
    "softmax_scale": 50.0,
    "valid_threshold": 0.1,
    "dilations": [1, 2],
    "discriminator_width": 16,
    "discriminator_strides": [2, 2, 2, 1],
    "initialisation": "kaiming",
    "adversarial_loss": "hinge",
    "adversarial_weight": 0.003,
    "hole_weight": 6.0,
    "valid_weight": 1.0,
    "pyramid_weight": 0.5,
    "learning_rate": 0.004,
    "discriminator_learning_rate": 0.0002,
    "adam_betas": [0.9, 0.99],
    "lr_milestones": [0.55, 0.75, 0.9],
    "lr_decay_factor": 0.3,
}
OLD_CONVOLUTIONS = {
    "encoder.convs.0": (4, 4, 3, 3),
    "encoder.convs.1": (8, 4, 3, 3),
    "encoder.convs.2": (16, 8, 3, 3),
    "transfers.1.refine.0": (2, 4, 3, 3),
    "transfers.1.refine.1": (2, 4, 3, 3),
    "decoder.up_convs.0": (8, 16, 3, 3),
    "decoder.up_convs.1": (4, 16, 3, 3),
    "decoder.to_rgb.0": (3, 16, 1, 1),
    "decoder.to_rgb.1": (3, 8, 1, 1),
    "decoder.merge": (4, 8, 3, 3),
    "decoder.paint": (3, 4, 3, 3),
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    weights = {f"{name}.weight": 0.3 * torch.randn(shape) for name, shape in OLD_CONVOLUTIONS.items()}
    weights |= {f"{name}.bias": 0.1 * torch.randn(shape[0]) for name, shape in OLD_CONVOLUTIONS.items()}
    save_file(weights, tmp_path / "generator.safetensors")
    (tmp_path / "config.json").write_text(json.dumps(OLD_CONFIG))
    return tmp_path


@pytest.mark.parametrize(
    "saved", [{}, {"training_mask": "centre"}, {"attention_mode": "released"}, {"affinity": "euclidean"}]
)
def test_a_generator_of_an_older_version_fills_a_hole(folder: Path, saved: dict[str, str]) -> None:
    (folder / "config.json").write_text(json.dumps(OLD_CONFIG | saved))
    picture = np.random.default_rng(0).integers(0, 256, (45, 51, 3), dtype=np.uint8)
    mask = np.zeros((45, 51), np.uint8)
    mask[18:30, 20:32] = 1
    filled = inpaint(load_generator(folder), picture, mask)
    assert np.array_equal(filled[mask == 0], picture[mask == 0])
    assert filled[mask == 1].std() > 0
    assert not np.array_equal(filled[mask == 1], picture[mask == 1])


def test_names_shapes_and_count_of_the_released_settings_weights_are_those_of_version_1() -> None:
    """The checksum was taken before there was a scale of full resolution."""
    weights = PENNet().state_dict()
    listing = "\n".join(f"{name} {tuple(value.shape)}" for name, value in weights.items())
    assert (len(weights), sum(value.numel() for value in weights.values())) == (68, 10_231_538)
    assert zlib.crc32(listing.encode()) == 3371295928
