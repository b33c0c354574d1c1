"""The methods that there are, and from the configuration of a learned one to its networks.

A method names its parts and loads them when they are asked for: filling a hole imports no loss and no discriminator.
"""

from __future__ import annotations

import pkgutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch
    from torch import nn

    from pennet.config import MethodConfig
    from pennet.training.loop import Recipe


@dataclass(frozen=True)
class LearnedMethod:
    """A method that is trained; its parts are named `module:object`."""

    name: str
    parameters: str
    """A subclass of `pennet.config.MethodConfig`."""
    generator: str
    """(parameters) -> the generator, with PyTorch's default weights."""
    recipe: str
    """Class of `pennet.training.loop.Recipe`: (parameters, image_size_px, steps, device, mixed_precision)."""


@dataclass(frozen=True)
class ClassicalMethod:
    """A method that needs no training."""

    name: str
    fill: str
    """`module:function` of (image (H, W, 3) uint8, mask (H, W) uint8, 1 = hole) -> prediction (H, W, 3) uint8."""


METHODS: tuple[LearnedMethod | ClassicalMethod, ...] = (
    LearnedMethod(
        "pennet",
        parameters="pennet.config.pennet:PENNetConfig",
        generator="pennet.models.pennet:PENNet.from_config",
        recipe="pennet.recipes.pennet:PENNetRecipe",
    ),
    LearnedMethod(
        "ca",
        parameters="pennet.config.ca:CAConfig",
        generator="pennet.models.two_stage:CAGenerator.from_config",
        recipe="pennet.recipes.ca:CARecipe",
    ),
    LearnedMethod(
        "gntipt",
        parameters="pennet.config.gntipt:GntIptConfig",
        generator="pennet.models.two_stage:GntIptGenerator.from_config",
        recipe="pennet.recipes.gntipt:GntIptRecipe",
    ),
    ClassicalMethod("mean", fill="pennet.classical.mean:fill_with_mean"),
    ClassicalMethod("telea", fill="pennet.classical.telea:fill_with_telea"),
    ClassicalMethod("biharmonic", fill="pennet.classical.biharmonic:fill_with_biharmonic"),
    ClassicalMethod("patchmatch", fill="pennet.classical.patchmatch:fill_with_patchmatch"),
)


def learned_methods() -> dict[str, LearnedMethod]:
    """Those with a training stage, by name."""
    return {method.name: method for method in METHODS if isinstance(method, LearnedMethod)}


def classical_methods() -> dict[str, ClassicalMethod]:
    """Those without one, by name."""
    return {method.name: method for method in METHODS if isinstance(method, ClassicalMethod)}


def build_recipe(
    config: MethodConfig, image_size_px: int, steps: int, device: torch.device, mixed_precision: bool
) -> Recipe:
    """The recipe that a configuration describes, its networks initialised on `device`, its schedule over `steps` updates."""
    recipe = pkgutil.resolve_name(learned_methods()[config.method].recipe)
    return recipe(config, image_size_px, steps, device, mixed_precision)


def build_generator(config: MethodConfig) -> nn.Module:
    """The generator that a configuration describes, for weights to be loaded into."""
    return pkgutil.resolve_name(learned_methods()[config.method].generator)(config)
