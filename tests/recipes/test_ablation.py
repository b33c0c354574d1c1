"""The ablation profile: each variant differs from the full PEN-Net in one part, and learns."""

from dataclasses import asdict, replace

import pytest
import torch

from pennet.config import Config, config_from_mapping
from pennet.config.pennet import PENNetConfig
from pennet.methods import build_recipe
from pipelines import profile
from pipelines.params import read_yaml
from tests.project import ROOT
from tests.recipes.test_pennet_recipe import make_batch


@pytest.fixture(scope="module")
def ablation() -> Config:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        return config_from_mapping(Config, profile.resolved("ablation", read_yaml(ROOT / "params.yaml")))


BY_FEATURES = {"affinity": "cosine", "patch_sizes": [3, 3], "valid_threshold": 0.12}
"""Comparing learned features takes other patches and another threshold than comparing pictures."""
CHANGES = {
    "no_full_resolution": {"full_resolution": False, "fills": ["features"]} | BY_FEATURES,
    "features_only": {"fills": ["features"]} | BY_FEATURES,
    "picture_only": {"fills": ["picture"]},
    "no_coherence": BY_FEATURES,
    "carried": {"finest_attention": 2},
    "even_overlaps": {"middle_weight": 1.0},
    "sharper": {"softmax_scale": 1000.0},
    "smoother": {"softmax_scale": 10.0},
    "no_attention": {"attention_levels": "none"},
    "no_pyramid_loss": {"pyramid_weight": 0.0},
    "no_adversarial_loss": {"adversarial_weight": 0.0},
    "texture_counts": {"hole_cell_px": 1},
    "released_mode": {"full_resolution": False, "fills": ["features"], "attention_mode": "released", "softmax_scale": 10.0}
    | {"middle_weight": 1.0}
    | BY_FEATURES,
}


def test_profile_holds_the_full_network_and_every_variant(ablation: Config) -> None:
    assert ablation.methods.learned == ["pennet", *CHANGES]


@pytest.mark.parametrize("name", CHANGES)
def test_variant_differs_from_the_full_network_in_one_part(ablation: Config, name: str) -> None:
    full, variant = asdict(ablation.recipes["pennet"]), asdict(ablation.recipes[name])
    assert {key: value for key, value in variant.items() if value != full[key]} == CHANGES[name]


@pytest.mark.parametrize("name", CHANGES)
def test_variant_learns_something_else_than_the_full_network(ablation: Config, name: str) -> None:
    batch, losses = make_batch(), {}
    for recipe_name in ("pennet", name):
        config = ablation.recipes[recipe_name]
        assert isinstance(config, PENNetConfig)
        torch.manual_seed(0)
        small = replace(config, base_width=8, discriminator_width=4)
        recipe = build_recipe(small, batch.image.shape[-1], 4, torch.device("cpu"), False)
        losses[recipe_name] = [recipe.update(batch)["generator"] for _ in range(3)]
    assert all(torch.isfinite(torch.tensor(values)).all() for values in losses.values())
    assert losses[name] != losses["pennet"]
