"""The learned methods that there are."""

from __future__ import annotations

import typing
from typing import Any

from pennet.config.ca import CAConfig
from pennet.config.gntipt import GntIptConfig
from pennet.config.pennet import PENNetConfig
from pennet.config.strict import config_from_mapping

MethodConfig = PENNetConfig | CAConfig | GntIptConfig
"""The parameters of one method; the key `method` says of which."""


def recipe_from_mapping(values: Any, source: str = "recipe") -> MethodConfig:
    """Builds the recipe that `values["method"]` names; otherwise as `config_from_mapping`."""
    return config_from_mapping(typing.cast("type[MethodConfig]", MethodConfig), values, source)
