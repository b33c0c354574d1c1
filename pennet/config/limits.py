"""What no type can express: each section lists its limits next to its fields."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeAlias

Limits: TypeAlias = Iterator[tuple[bool, str, str]]
"""Of a section: whether it holds, the key that is wrong if it does not, and what is wrong with its value."""

NAME_PATTERN = r"[a-z][a-z0-9_]*"
"""Names of data sets and recipes: they become folders, DVC's stage names and words of a shell command."""

DEVICE_PATTERN = r"auto|cpu|cuda(:(0|[1-9][0-9]*))?"
"""`runtime.device` and `--device`."""

MAX_SEED = 2**32 - 1
"""The largest seed that every library takes."""


def positive(section: Any, *keys: str) -> Limits:
    """These keys hold numbers above 0."""
    for key in keys:
        yield getattr(section, key) > 0, key, "must be positive"


def not_negative(section: Any, *keys: str) -> Limits:
    """These keys hold numbers of at least 0."""
    for key in keys:
        yield getattr(section, key) >= 0, key, "must not be negative"


def seed(value: int, key: str = "seed") -> Limits:
    """The key holds a seed."""
    yield 0 <= value <= MAX_SEED, key, f"must be from 0 to {MAX_SEED}"


def limits_of_every_method(recipe: Any) -> Limits:
    """What PEN-Net, CA and GntIpt share: widths, weights, Adam and its schedule."""
    yield from positive(recipe, "base_width", "softmax_scale", "learning_rate", "lr_decay_factor")
    yield from not_negative(recipe, "adversarial_weight")
    yield all(0 < share < 1 for share in recipe.lr_milestones), "lr_milestones", "must be shares in (0, 1)"
    betas = recipe.adam_betas
    yield len(betas) == 2 and all(0 <= b < 1 for b in betas), "adam_betas", "must be two numbers in [0, 1)"
