"""From a learned method's configuration to its networks: the one place that knows all of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

from pennet.config import CAConfig, GntIptConfig, MethodConfig, PENNetConfig

if TYPE_CHECKING:
    from pennet.training.loop import Recipe


def build_recipe(
    config: MethodConfig, image_size_px: int, steps: int, device: torch.device, mixed_precision: bool
) -> Recipe:
    """The recipe that a configuration describes, its networks initialised on `device`, its schedule over `steps` updates."""
    match config:
        case PENNetConfig():
            from pennet.recipes.pennet import PENNetRecipe

            return PENNetRecipe(config, image_size_px, steps, device, mixed_precision)
        case CAConfig():
            from pennet.recipes.ca import CARecipe

            return CARecipe(config, image_size_px, steps, device, mixed_precision)
        case GntIptConfig():
            from pennet.recipes.gntipt import GntIptRecipe

            return GntIptRecipe(config, image_size_px, steps, device, mixed_precision)


def build_generator(config: MethodConfig) -> nn.Module:
    """The generator that a configuration describes, for weights to be loaded into."""
    match config:
        case PENNetConfig():
            from pennet.recipes import pennet

            return pennet.build_generator(config)
        case CAConfig():
            from pennet.recipes import ca

            return ca.build_generator(config)
        case GntIptConfig():
            from pennet.recipes import gntipt

            return gntipt.build_generator(config)
