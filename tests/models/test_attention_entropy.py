"""The count of mixed patches at its two ends: a sharp softmax copies one, a flat one averages all."""

import numpy as np
import pytest
import torch

from benchmarks.attention_entropy import mixed_patches
from pennet.methods import build_generator
from tests.configs import COPYING, small_recipe


@pytest.mark.parametrize(("scale", "share"), [(1e-4, 1.0), (1e7, 0.0)])
@pytest.mark.parametrize(("changes", "num_transfers"), [({}, 2), (COPYING, 3)], ids=["features", "picture"])
def test_mixed_patches_between_one_and_all(changes: dict, num_transfers: int, scale: float, share: float) -> None:
    torch.manual_seed(0)
    generator = build_generator(small_recipe(**changes | {"softmax_scale": scale})).eval()
    images = np.random.default_rng(0).integers(0, 256, (3, 48, 48, 3), dtype=np.uint8)
    masks = np.zeros((3, 48, 48), np.uint8)
    masks[:, 16:32, 16:32] = 1
    levels = mixed_patches(generator, images, masks)
    assert len(levels) == num_transfers
    for mixed, known in levels:
        assert mixed == pytest.approx(known if share else 1.0, rel=0.05)
