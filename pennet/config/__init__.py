"""Every tunable value of the project: one frozen dataclass per section of `params.yaml`, one file per learned method.

No field has a default: `params.yaml` is total, so what a run did can be read in one file. The string under a field
says what it means and in which unit, its type which values are possible, `limits` below what concerns several fields.
"""

from pennet.config.methods import MethodConfig, recipe_from_mapping
from pennet.config.promotion import PromotionConfig
from pennet.config.runtime import RuntimeConfig
from pennet.config.section import DEVICE_PATTERN, NAME_PATTERN
from pennet.config.sections import (
    Config,
    EvaluateConfig,
    InpaintConfig,
    MasksConfig,
    MethodsConfig,
    OverridesConfig,
    PrepareConfig,
    SourceConfig,
    TrackingConfig,
    TrainConfig,
)
from pennet.config.validation import ConfigError, config_from_mapping

__all__ = [
    "DEVICE_PATTERN",
    "NAME_PATTERN",
    "Config",
    "ConfigError",
    "EvaluateConfig",
    "InpaintConfig",
    "MasksConfig",
    "MethodConfig",
    "MethodsConfig",
    "OverridesConfig",
    "PrepareConfig",
    "PromotionConfig",
    "RuntimeConfig",
    "SourceConfig",
    "TrackingConfig",
    "TrainConfig",
    "config_from_mapping",
    "recipe_from_mapping",
]
