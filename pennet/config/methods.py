"""What the parameters of all learned methods share, and how those of one are read."""

from __future__ import annotations

import pkgutil
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import Field, PlainValidator, PositiveFloat, ValidationError
from pydantic_core import PydanticCustomError

from pennet.config.section import Ratio, Section, Share, one_of
from pennet.config.validation import RENAMED, config_from_mapping, validated
from pennet.masks import KINDS
from pennet.methods import learned_methods

MaskName = Annotated[str, one_of(kind.name for kind in KINDS)]
"""A kind of mask, see `pennet.masks`."""


@dataclass(frozen=True)
class MethodConfig(Section):
    """The parameters of one learned method: its networks, its losses and its optimizers."""

    method: str
    """Which method of `pennet.methods` this is a recipe of."""
    training_mask: MaskName
    """Kind of the masks it learns from."""
    initialisation: Literal["normal", "kaiming"]
    """Of convolutions: `normal` is N(0, 0.02), the papers'; `kaiming` starts faster at a small width."""
    learning_rate: PositiveFloat
    """Adam's step size for the generator."""
    adam_betas: Annotated[list[Ratio], Field(min_length=2, max_length=2)]
    """Adam's two decay rates."""
    lr_milestones: list[Share]
    """Shares of the budget, in (0, 1), after which every step size is multiplied by `lr_decay_factor`."""
    lr_decay_factor: PositiveFloat
    """Factor at each milestone."""

    def mismatches_with(self, image_size_px: int, name: str) -> Iterator[str]:
        """Why images of that size do not suit the recipe of that name: what to print after the size."""
        return iter(())


def _build(values: Any) -> MethodConfig:
    """The parameters in a mapping, of the method that its key `method` names."""
    if not isinstance(values, dict):
        raise PydanticCustomError("mapping_type", "expected a mapping")
    name, known = values.get("method"), learned_methods()
    if not isinstance(name, str) or name not in known:
        unknown = PydanticCustomError("limit", "is not one of {known}", {"known": ", ".join(known)})
        raise ValidationError.from_exception_data("recipe", [{"type": unknown, "loc": ("method",), "input": name}])
    return validated(pkgutil.resolve_name(known[name].parameters), values)


AnyMethodConfig = Annotated[MethodConfig, PlainValidator(_build)]
"""The parameters of one of the learned methods."""


BEFORE: dict[str, dict[str, Any]] = {
    "pennet": {
        "training_mask": "rotated_square",
        "full_resolution": False,
        "fills": ["features"],
        "patch_sizes": [1, 3],
        "finest_attention": 1,
        "middle_weight": 1.0,
        "hole_cell_px": 1,
    },
    "ca": {"training_mask": "jittered_box"},
    "gntipt": {"training_mask": "box_and_free_form"},
}
"""What generators do that were saved before a parameter was there, by method."""


def recipe_from_mapping(values: Any, source: str = "recipe") -> MethodConfig:
    """Builds the recipe that `values["method"]` names; a generator's that an older version saved gets today's keys.

    Raises:
        ConfigError: see `config_from_mapping`.
    """
    if isinstance(values, dict):
        values = {RENAMED.get(key, key): value for key, value in values.items()}
        if (method := values.get("method")) in BEFORE:
            values = BEFORE[method] | values
    return config_from_mapping(AnyMethodConfig, values, source)
