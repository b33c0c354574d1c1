"""Every tunable value of the project: one frozen dataclass per section of `params.yaml`, one file per learned method.

No field has a default: `params.yaml` is total, so what a run did can be read in one file. The string under a field
says what it means and in which unit, `limits` below the fields what no type can express.
"""

from pennet.config.ca import CAConfig
from pennet.config.gntipt import GntIptConfig
from pennet.config.limits import DEVICE_PATTERN, NAME_PATTERN
from pennet.config.methods import MethodConfig, recipe_from_mapping
from pennet.config.pennet import PENNetConfig, smallest_judged_side_px
from pennet.config.sections import (
    CLASSICAL_METHODS,
    Config,
    EvaluateConfig,
    InpaintConfig,
    MasksConfig,
    MethodsConfig,
    PrepareConfig,
    RuntimeConfig,
    SourceConfig,
    TrackingConfig,
    TrainConfig,
)
from pennet.config.strict import ConfigError, config_from_mapping

__all__ = [
    "CLASSICAL_METHODS",
    "DEVICE_PATTERN",
    "NAME_PATTERN",
    "CAConfig",
    "Config",
    "ConfigError",
    "EvaluateConfig",
    "GntIptConfig",
    "InpaintConfig",
    "MasksConfig",
    "MethodConfig",
    "MethodsConfig",
    "PENNetConfig",
    "PrepareConfig",
    "RuntimeConfig",
    "SourceConfig",
    "TrackingConfig",
    "TrainConfig",
    "config_from_mapping",
    "recipe_from_mapping",
    "smallest_judged_side_px",
]
