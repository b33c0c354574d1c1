"""The ablation profile: each variant differs from the full PEN-Net in one part, and learns."""

from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch

from pennet.config import PENNetConfig
from pennet.methods import build_recipe
from pipelines.params import load_params
from tests.recipes.test_pennet_recipe import make_batch

PROFILE = load_params(Path(__file__).parents[2] / "profiles/ablation.yaml")
CHANGES = {
    "no_attention": {"attention_levels": "none"},
    "deepest_attention": {"attention_levels": "deepest"},
    "no_pyramid_loss": {"pyramid_weight": 0.0},
    "no_adversarial_loss": {"adversarial_weight": 0.0},
    "euclidean_affinity": {"affinity": "euclidean"},
    "released_mode": {"attention_mode": "released", "softmax_scale": 10.0},
}


def test_profile_holds_the_full_network_and_every_variant() -> None:
    assert PROFILE.methods.learned == ["pennet", *CHANGES]


@pytest.mark.parametrize("name", CHANGES)
def test_variant_differs_from_the_full_network_in_one_part(name: str) -> None:
    full, variant = asdict(PROFILE.recipes["pennet"]), asdict(PROFILE.recipes[name])
    assert {key: value for key, value in variant.items() if value != full[key]} == CHANGES[name]


@pytest.mark.parametrize("name", CHANGES)
def test_variant_learns_something_else_than_the_full_network(name: str) -> None:
    batch, losses = make_batch(), {}
    for recipe_name in ("pennet", name):
        config = PROFILE.recipes[recipe_name]
        assert isinstance(config, PENNetConfig)
        torch.manual_seed(0)
        small = replace(config, base_width=8, discriminator_width=4)
        recipe = build_recipe(small, batch.image.shape[-1], 4, torch.device("cpu"), False)
        losses[recipe_name] = [recipe.update(batch)["generator"] for _ in range(3)]
    assert all(torch.isfinite(torch.tensor(values)).all() for values in losses.values())
    assert losses[name] != losses["pennet"]
