"""Which settings a search of `benchmarks.search` may change, and what it draws for each trial."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from pennet.config import ConfigError, MethodConfig, TrainConfig, config_from_mapping, recipe_from_mapping
from pennet.errors import UserError


@dataclass(frozen=True)
class Times:
    """Factors of the recipe's own value."""

    factors: tuple[float, ...]


@dataclass(frozen=True)
class OneOf:
    """Values instead of the recipe's own."""

    values: tuple[Any, ...]


Space = Mapping[str, Times | OneOf]
"""What may change, by its key in `recipes.NAME`; `ema_decay` is the one of `train`."""

COMMON: Space = {
    "learning_rate": Times((1 / 4, 1 / 2, 1, 2)),
    "discriminator_learning_rate": Times((1 / 4, 1, 4)),
    "adversarial_weight": Times((0, 1 / 4, 1, 4, 16)),
    "ema_decay": OneOf((0.99, 0.995)),
    "lr_milestones": OneOf(([0.4, 0.6, 0.8], [0.6, 0.8, 0.9], [0.8])),
}
SPACES: Mapping[str, Space] = {
    "pennet": {
        **COMMON,
        "softmax_scale": OneOf((30.0, 100.0, 300.0)),
        "finest_attention": OneOf((1, 2)),
        "middle_weight": OneOf((1.0, 2.0, 4.0)),
        "discriminator_strides": OneOf(([2, 2, 2, 1], [2, 2, 1, 1], [2, 1, 1, 1])),
        "hole_weight": OneOf((3.0, 6.0, 12.0)),
    },
    "ca": {
        **COMMON,
        "softmax_scale": OneOf((10.0, 30.0, 100.0)),
        "base_width": OneOf((8, 12, 16)),
        "discriminator_steps": OneOf((1, 2, 5)),
        "gradient_penalty_weight": OneOf((1.0, 10.0)),
        "discount": OneOf((0.9, 0.97, 1.0)),
    },
    "gntipt": {
        **COMMON,
        "softmax_scale": OneOf((10.0, 30.0, 100.0)),
        "base_width": OneOf((8, 16, 24)),
        "discriminator_width": OneOf((8, 16, 32)),
        "l1_weight": OneOf((0.5, 1.0, 2.0)),
    },
}
"""Of every method: what all have in common, and what is its own."""

CHANGED = 0.5
"""Chance of a setting to be drawn anew."""
MAX_DRAWS = 1000
"""Of one trial; then its space is taken to be used up."""


@dataclass(frozen=True)
class Candidate:
    """The settings of one trial."""

    recipe: MethodConfig
    train: TrainConfig

    def settings(self) -> dict[str, Any]:
        """All that a space may name, by its key."""
        return asdict(self.recipe) | {"ema_decay": self.train.ema_decay}


def candidates(start: Candidate, image_size_px: int, seed: int, trials: int) -> list[Candidate]:
    """The settings of all trials, no two the same; those of fewer trials are the first of those of more.

    Raises:
        UserError: the space has not so many.
    """
    found = [start]
    for number in range(1, trials):
        rng = np.random.default_rng([seed, number])
        for _ in range(MAX_DRAWS):
            drawn = _draw(start, image_size_px, rng)
            if drawn is not None and drawn not in found:
                found.append(drawn)
                break
        else:
            raise UserError(f"--trials: {trials}, but the space of {start.recipe.method} has only about {len(found)}")
    return found


def _draw(start: Candidate, image_size_px: int, rng: np.random.Generator) -> Candidate | None:
    """Other settings, or None where the configuration refuses them."""
    values = start.settings()
    for key, choices in SPACES[start.recipe.method].items():
        if rng.random() < CHANGED:
            if isinstance(choices, Times):
                values[key] = float(f"{values[key] * choices.factors[rng.integers(len(choices.factors))]:.6g}")
            else:
                values[key] = choices.values[rng.integers(len(choices.values))]
    train = asdict(start.train) | {"ema_decay": values.pop("ema_decay")}
    try:
        drawn = Candidate(recipe_from_mapping(values), config_from_mapping(TrainConfig, train))
    except ConfigError:
        return None
    return None if any(drawn.recipe.mismatches_with(image_size_px, drawn.recipe.method)) else drawn
