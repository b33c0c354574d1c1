"""The list of methods: what it costs to read, and what a new entry needs."""

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from pkgutil import resolve_name
from typing import Any, Literal, get_type_hints

import pytest
import torch
from torch import nn

from pennet import methods
from pennet.config import Config, ConfigError, MethodConfig, config_from_mapping
from pennet.generator_files import load_generator, save_generator
from pennet.methods import METHODS, LearnedMethod, build_generator, build_recipe
from pennet.models.initialisation import initialise
from pennet.models.output import GeneratorOutput
from pennet.recipes.updates import ScheduledOptimizer, place, steps_at
from pennet.training.dataset import Batch
from pipelines.params import read_yaml
from tests.configs import small_ca, small_gntipt, small_recipe
from tests.project import ROOT


@dataclass(frozen=True)
class PlainConfig(MethodConfig):
    """A method without attention, without a discriminator and without a parameter of its own."""

    method: Literal["plain"]


class Plain(nn.Module):
    unit_px = 4

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(4, 8, 4, 4), nn.GroupNorm(2, 8), nn.Flatten(2), nn.Linear(64, 64), nn.Unflatten(2, (8, 8))
        )
        self.paint = nn.ConvTranspose2d(8, 3, 4, 4)

    @classmethod
    def from_config(cls, config: PlainConfig) -> "Plain":
        return cls()

    def forward(self, image: torch.Tensor, mask: torch.Tensor) -> GeneratorOutput:
        known = torch.cat([image * (1 - mask), mask], dim=1)
        return GeneratorOutput(torch.tanh(self.paint(self.body(known))), ())


class PlainRecipe:
    def __init__(self, config: PlainConfig, image_size_px: int, steps: int, device: torch.device, mixed_precision: bool):
        self.generator = Plain.from_config(config)
        initialise(self.generator, config.initialisation)
        place(self.generator, device)
        milestones = steps_at(config.lr_milestones, steps)
        self.generator_optimizer = ScheduledOptimizer(
            "generator",
            self.generator.parameters(),
            config.learning_rate,
            config.adam_betas,
            milestones,
            config.lr_decay_factor,
        )

    def update(self, batch: Batch) -> dict[str, float]:
        loss = (self.generator(batch.image, batch.mask).image - batch.image).abs().mean()
        self.generator_optimizer.update(loss)
        return {"generator": loss.item()}


@pytest.fixture
def values(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """`params.yaml` with a recipe of a method that the list has one more line for."""
    here = sys.modules[__name__]
    monkeypatch.setitem(sys.modules, "plain_method", here)
    plain = LearnedMethod("plain", "plain_method:PlainConfig", "plain_method:Plain.from_config", "plain_method:PlainRecipe")
    monkeypatch.setattr(methods, "METHODS", (*METHODS, plain))
    values: dict[str, Any] = read_yaml(ROOT / "params.yaml")
    values["methods"]["learned"] = ["plain"]
    values["recipes"]["plain"] = {
        "method": "plain",
        "training_mask": "irregular",
        "initialisation": "kaiming",
        "learning_rate": 1e-2,
        "adam_betas": [0.9, 0.99],
        "lr_milestones": [],
        "lr_decay_factor": 0.5,
    }
    return values


def test_method_of_one_line_in_the_list_is_configured_trained_saved_and_loaded(
    values: dict[str, Any], tmp_path: Path
) -> None:
    config = config_from_mapping(Config, values).recipes["plain"]
    torch.manual_seed(0)
    recipe = build_recipe(config, 32, 4, torch.device("cpu"), False)
    batch = Batch(torch.linspace(-0.8, 0.8, 32).expand(2, 3, 32, 32), torch.zeros(2, 1, 32, 32))
    losses = [recipe.update(batch)["generator"] for _ in range(20)]
    assert losses[-1] < 0.8 * losses[0]
    save_generator(recipe.generator, config, tmp_path)
    loaded = load_generator(tmp_path)
    assert all(torch.equal(value, recipe.generator.state_dict()[name]) for name, value in loaded.state_dict().items())


def test_method_without_attention_needs_no_parameter_of_attention(values: dict[str, Any]) -> None:
    values["recipes"]["plain"]["softmax_scale"] = 10.0
    with pytest.raises(ConfigError, match=r"recipes\.plain\.softmax_scale: unknown key"):
        config_from_mapping(Config, values)


def test_names_of_methods_are_different() -> None:
    names = [method.name for method in METHODS]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("config", [small_recipe(), small_ca(), small_gntipt()], ids=lambda config: config.method)
def test_filling_a_hole_imports_the_generator_and_nothing_that_trains_or_scores(
    config: MethodConfig, tmp_path: Path
) -> None:
    save_generator(build_generator(config), config, tmp_path / "model")
    program = f"""
import sys
import numpy as np
from pennet.generator_files import load_generator
from pennet.inference import inpaint
mask = np.zeros((32, 32), np.uint8)
mask[8:16, 8:16] = 1
inpaint(load_generator({str(tmp_path / "model")!r}), np.full((32, 32, 3), 99, np.uint8), mask)
foreign = ("cv2", "scipy", "skimage", "pandas", "pennet.losses", "pennet.recipes", "pennet.models.discriminators",
           "pennet.models.initialisation", "pennet.classical", "pennet.training", "pennet.metrics")
print([name for name in sys.modules if name.startswith(foreign)])
"""
    result = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True, timeout=240
    )
    assert result.stdout.strip() == "[]"


def test_reading_the_list_of_methods_imports_nothing_heavy() -> None:
    program = "import sys, pennet.methods; print(sorted(set(sys.modules) & {'torch', 'numpy', 'cv2', 'pydantic'}))"
    result = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True, timeout=240
    )
    assert result.stdout.strip() == "[]"


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
def test_parts_of_a_method_exist_and_belong_to_it(method: Any) -> None:
    if not isinstance(method, LearnedMethod):
        assert callable(resolve_name(method.fill))
        return
    parameters = resolve_name(method.parameters)
    assert issubclass(parameters, MethodConfig)
    assert get_type_hints(parameters)["method"] == Literal[method.name]  # type: ignore[name-defined]
    assert callable(resolve_name(method.generator))
    assert callable(resolve_name(method.recipe).update)
