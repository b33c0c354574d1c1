"""Settings that have to go with each other: attention and what it copies, overrides, the rule of a promotion."""

import copy
import re
from dataclasses import replace
from typing import Any

import pytest

from pennet.config import Config, config_from_mapping
from tests.configs import config_problems as problems
from tests.configs import project_values


@pytest.fixture
def values() -> dict[str, Any]:
    return project_values()


COPIES = {"full_resolution": True, "fills": ["features", "picture"], "affinity": "picture", "patch_sizes": [7, 5]}
PAPER = {"full_resolution": False, "fills": ["features"], "affinity": "cosine", "patch_sizes": [1, 3]}
RELEASED = PAPER | {"attention_mode": "released", "middle_weight": 1.0}


@pytest.mark.parametrize(
    ("recipe", "changes", "problem"),
    [
        (
            COPIES,
            {"full_resolution": False},
            "fills: ['features', 'picture'] can hold picture only with full_resolution: true",
        ),
        (COPIES, {"fills": ["features"]}, "affinity: 'picture' can be picture only where fills holds picture"),
        (COPIES, {"fills": ["picture", "picture"]}, "fills: ['picture', 'picture'] must not hold anything twice"),
        (COPIES, {"fills": []}, "fills: [] must have at least 1 item after validation, not 0"),
        (COPIES, {"fills": ["image"]}, "fills[0]: 'image' is not one of features, picture"),
        (COPIES, {"patch_sizes": [7, 4]}, "patch_sizes: [7, 4] must be odd"),
        (COPIES, {"patch_sizes": [7]}, "patch_sizes: [7] must have at least 2 items after validation, not 1"),
        (COPIES, {"patch_sizes": [7, 17]}, "patch_sizes[1]: 17 must be less than or equal to 15"),
        (COPIES, {"finest_attention": 4}, "finest_attention: 4 must be one of the scales up to num_levels (3)"),
        (
            COPIES,
            {"base_width": 4, "dilations": [1, 2, 4]},
            "dilations: [1, 2, 4] must not be more than half of base_width (4), so that each has a channel",
        ),
        (
            COPIES,
            {"base_width": 1, "dilations": []},
            "base_width: 1 must be 2 or more with full_resolution: true, whose first map has half as many",
        ),
        (
            PAPER,
            {"base_width": 2, "dilations": [1, 2, 4]},
            "dilations: [1, 2, 4] must not be more than base_width (2), so that each has a channel",
        ),
        (PAPER, {"affinity": "picture"}, "affinity: 'picture' can be picture only where fills holds picture"),
        (PAPER, {"fills": ["picture"]}, "fills: ['picture'] can hold picture only with full_resolution: true"),
        (RELEASED, {"affinity": "euclidean"}, "affinity: 'euclidean' needs attention_mode: paper"),
        (RELEASED, {"affinity": "picture"}, "affinity: 'picture' needs attention_mode: paper"),
        (
            RELEASED,
            {"full_resolution": True, "fills": ["picture"]},
            "fills: ['picture'] can hold picture only with attention_mode: paper",
        ),
        (RELEASED, {"finest_attention": 2}, "finest_attention: 2 must be 1 with attention_mode: released"),
        (RELEASED, {"middle_weight": 2.0}, "middle_weight: 2.0 must be 1 with attention_mode: released"),
        (COPIES, {"middle_weight": 0.5}, "middle_weight: 0.5 must be greater than or equal to 1"),
    ],
)
def test_what_attention_cannot_do_is_one_problem(
    values: dict[str, Any], recipe: dict[str, Any], changes: dict[str, Any], problem: str
) -> None:
    values["recipes"]["pennet"] |= recipe
    config_from_mapping(Config, values)
    values["recipes"]["pennet"] |= changes
    assert problems(values) == [f"recipes.pennet.{problem}"]


def test_overrides_change_one_data_set(values: dict[str, Any]) -> None:
    values["sources"]["other"] = values["sources"]["terrain"]
    values["overrides"]["other"] = copy.deepcopy(values["overrides"]["terrain"])
    values["overrides"]["other"] |= {"train": {"steps": 7}, "recipes": {"pennet": {"base_width": 8}}}
    values["datasets"] = ["terrain", "other"]
    config = config_from_mapping(Config, values)
    assert config.of("terrain").train == config.train != config.of("other").train
    assert config.of("other").train == replace(config.train, steps=7)
    assert config.of("other").recipes == config.recipes | {"pennet": replace(config.recipes["pennet"], base_width=8)}


@pytest.mark.parametrize(
    ("section", "change", "message"),
    [
        ("train", {"step": 7}, "^overrides.terrain: train.step: unknown key"),
        ("prepare", {"image_size_px": 70}, "prepare.image_size_px: 70 is not a multiple of"),
        ("recipes", {"penet": {"base_width": 8}}, "recipes.penet: there is no such recipe; known are pennet, ca, gntipt"),
    ],
)
def test_overrides_that_cannot_be_are_named(
    values: dict[str, Any], section: str, change: dict[str, Any], message: str
) -> None:
    values["overrides"]["terrain"][section] = change
    assert re.search(message, "\n".join(problems(values)))


def test_every_data_set_needs_its_overrides(values: dict[str, Any]) -> None:
    values["overrides"] = {}
    assert "datasets: ['terrain'] names 'terrain', which is not an entry of overrides ()" in problems(values)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"better": []}, "promotion.better: [] names no metric"),
        ({"better": ["psnr", "psnr"]}, "promotion.better: ['psnr', 'psnr'] names one twice"),
        ({"better": ["lpip"]}, "promotion.better: ['lpip'] names 'lpip', which is no metric of single images"),
        (
            {"guards": {"fid_efflite0": 0.1}},
            "promotion.guards: {'fid_efflite0': 0.1} names 'fid_efflite0', which is a metric",
        ),
        ({"guards": {"lpips_vgg": 0.1}}, "names 'lpips_vgg', which evaluate.lpips_nets: [alex] does not compute"),
        ({"guards": {"ms_ssim_1": 0.1}}, "names 'ms_ssim_1', which pictures of 64 px have not (they have ms_ssim_3)"),
        ({"guards": {"psnr": -0.1}}, "promotion.guards.psnr: -0.1 must be greater than or equal to 0"),
        ({"resamples": 99}, "promotion.resamples: 99 must be greater than or equal to 100"),
        ({"confidence": 0.9}, "promotion.confidence: unknown key"),
    ],
)
def test_a_rule_that_cannot_be_is_one_problem(values: dict[str, Any], changes: dict[str, Any], problem: str) -> None:
    values["promotion"] |= changes
    (found,) = problems(values)
    assert problem in found


def test_a_rule_may_name_what_is_not_computed_where_nothing_is_trained(values: dict[str, Any]) -> None:
    values["evaluate"]["lpips_nets"] = []
    assert len(problems(values)) == 2
    values["methods"]["learned"] = []
    config_from_mapping(Config, values)
