"""Small configurations for tests."""

from __future__ import annotations

from typing import Any

import pytest

from pennet.config import (
    Config,
    ConfigError,
    MasksConfig,
    PrepareConfig,
    RuntimeConfig,
    SourceConfig,
    TrainConfig,
    config_from_mapping,
)
from pennet.config.ca import CAConfig
from pennet.config.gntipt import GntIptConfig
from pennet.config.pennet import PENNetConfig

COPYING: dict[str, Any] = {
    "full_resolution": True,
    "fills": ["features", "picture"],
    "affinity": "picture",
    "patch_sizes": [5, 3],
    "middle_weight": 2.0,
    "softmax_scale": 100.0,
    "valid_threshold": 0.0,
}
"""What makes of `small_recipe` one that fills the picture itself, as params.yaml does."""


def small_recipe(**changes: Any) -> PENNetConfig:
    values: dict[str, Any] = {
        "method": "pennet",
        "training_mask": "rotated_square",
        "num_levels": 3,
        "base_width": 4,
        "attention_mode": "paper",
        "attention_levels": "all",
        "full_resolution": False,
        "fills": ["features"],
        "affinity": "cosine",
        "patch_sizes": [1, 3],
        "finest_attention": 1,
        "middle_weight": 1.0,
        "softmax_scale": 10.0,
        "valid_threshold": 0.1,
        "dilations": [1, 2],
        "discriminator_width": 4,
        "discriminator_strides": [2, 2, 2, 1],
        "initialisation": "kaiming",
        "adversarial_loss": "hinge",
        "adversarial_weight": 0.1,
        "hole_weight": 6.0,
        "hole_cell_px": 1,
        "valid_weight": 1.0,
        "pyramid_weight": 0.5,
        "learning_rate": 1e-3,
        "discriminator_learning_rate": 1e-3,
        "adam_betas": [0.5, 0.999],
        "lr_milestones": [0.5],
        "lr_decay_factor": 0.5,
    }
    return PENNetConfig(**values | changes)


def small_train(**changes: Any) -> TrainConfig:
    values: dict[str, Any] = {
        "steps": 6,
        "minutes": 0.0,
        "batch_size": 3,
        "ema_decay": 0.9,
        "mixed_precision": False,
        "flip": True,
        "quarter_turns": True,
        "colour_jitter": 0.1,
        "shuffle_window_shards": 0,
        "log_every_steps": 1,
        "sample_every_steps": 2,
        "num_samples": 1,
        "checkpoint_every_steps": 2,
    }
    return TrainConfig(**values | changes)


def small_ca(**changes: Any) -> CAConfig:
    values: dict[str, Any] = {
        "method": "ca",
        "training_mask": "jittered_box",
        "base_width": 4,
        "softmax_scale": 10.0,
        "discriminator_width": 4,
        "discriminator_steps": 2,
        "initialisation": "kaiming",
        "adversarial_weight": 0.001,
        "gradient_penalty_weight": 10.0,
        "l1_weight": 1.2,
        "known_weight": 1.2,
        "coarse_weight": 1.2,
        "discount": 0.9,
        "learning_rate": 1e-3,
        "discriminator_learning_rate": 1e-3,
        "adam_betas": [0.5, 0.9],
        "lr_milestones": [],
        "lr_decay_factor": 0.5,
    }
    return CAConfig(**values | changes)


def small_gntipt(**changes: Any) -> GntIptConfig:
    values: dict[str, Any] = {
        "method": "gntipt",
        "training_mask": "box_and_free_form",
        "base_width": 8,
        "softmax_scale": 10.0,
        "discriminator_width": 4,
        "initialisation": "kaiming",
        "adversarial_weight": 0.01,
        "l1_weight": 1.0,
        "learning_rate": 2e-3,
        "discriminator_learning_rate": 1e-3,
        "adam_betas": [0.5, 0.999],
        "lr_milestones": [],
        "lr_decay_factor": 0.5,
    }
    return GntIptConfig(**values | changes)


def small_source(*archives: str, **changes: Any) -> SourceConfig:
    """Archives with a manifest, unless it is said otherwise."""
    values: dict[str, Any] = {
        "data_set": "packed",
        "archives": list(archives),
        "sha256": [],
        "revision": "",
        "accept_licence": False,
        "split": "paper_else_seeded",
        "seed": 0,
        "test_ratio": 0.3,
        "val_ratio": 0.2,
    }
    return SourceConfig(**values | changes)


def small_prepare(**changes: Any) -> PrepareConfig:
    values: dict[str, Any] = {
        "image_size_px": 32,
        "resize_filter": "bilinear",
        "shard_mb": 1,
        "max_rejected_ratio": 0.0,
        "max_look_alike_bits": 4,
        "test_images": 0,
        "contact_sheet_images": 4,
    }
    return PrepareConfig(**values | changes)


def small_masks(*protocols: str, **changes: Any) -> MasksConfig:
    return MasksConfig(**{"protocols": list(protocols or ["centre"]), "files": {}, "seed": 7} | changes)


def small_runtime(**changes: Any) -> RuntimeConfig:
    """One thread of the CPU."""
    values: dict[str, Any] = {
        "device": "cpu",
        "num_threads": 1,
        "num_processes": 1,
        "num_workers": 0,
        "dask": "",
        "deterministic": False,
        "tf32": False,
        "cudnn_benchmark": False,
    }
    return RuntimeConfig(**values | changes)


def project_values() -> dict[str, Any]:
    """What the project's params.yaml holds, to be changed."""
    from pipelines.params import read_yaml
    from tests.project import ROOT

    values: dict[str, Any] = read_yaml(ROOT / "params.yaml")
    return values


def config_problems(values: Any) -> list[str]:
    """What is wrong with a configuration, which has to be refused."""
    with pytest.raises(ConfigError) as caught:
        config_from_mapping(Config, values, "params.yaml")
    return caught.value.problems
