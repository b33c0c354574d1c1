"""What a run is: a digest of the data, the parameters and the code that made it, read from `dvc.yaml` and `params.yaml`.

It names the resume folder of a training and finds a run again in MLflow. It is the same before and after a stage has run,
and cheap: no stage is run, no large file is read.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pennet.errors import UserError
from pipelines.params import PARAMS_PATH, load_params, read_yaml

DVC_PATH = Path("dvc.yaml")
TRAINING_STAGES = ("download", "prepare", "train")
LEARNED_STAGES = (*TRAINING_STAGES, "masks", "inpaint", "evaluate")
BENCHMARK_STAGES = ("download", "prepare", "masks", "evaluate-classical")
CLASSICAL_STAGES = ("download", "prepare", "masks", "inpaint-classical", "evaluate-classical")


@dataclass(frozen=True)
class Fingerprint:
    training: str
    """Digest of what decides the weights; empty for a classical method."""
    run: str
    """Digest of what decides the weights and the test metrics."""
    identity: dict[str, str]
    """What decides the weights, readable: flat parameters, the archive's checksum and a digest of each source file."""
    parameters: dict[str, str]
    """Every parameter of every stage of the run, flat: `train.steps` -> `400`."""


def run_fingerprint(dataset: str, method: str, seed: int | None) -> Fingerprint:
    """Fingerprint of (data set, method, seed) with the parameters and the code as they are now.

    Args:
        dataset: its name.
        method: a recipe's name, or a classical method.
        seed: of a training; None for a classical method.

    Raises:
        UserError: `params.yaml` or `dvc.yaml` cannot be read, or a file that `dvc.yaml` names is missing.
    """
    load_params()  # with its errors, which the plain reading below has not
    learned = seed is not None
    params, stages = read_yaml(PARAMS_PATH), read_yaml(DVC_PATH)["stages"]
    training = _ingredients(TRAINING_STAGES, stages, params, dataset, method, seed) if learned else {}
    whole = _ingredients(LEARNED_STAGES if learned else CLASSICAL_STAGES, stages, params, dataset, method, seed)
    return Fingerprint(
        training=_digest(training) if learned else "",
        run=_digest(whole),
        identity=training,
        parameters={key: value for key, value in whole.items() if not key.startswith("code.")},
    )


def benchmark_fingerprint(dataset: str) -> str:
    """Digest of the test images, the masks and the way of scoring: equal for runs whose metrics can be compared."""
    params, stages = read_yaml(PARAMS_PATH), read_yaml(DVC_PATH)["stages"]
    return _digest(_ingredients(BENCHMARK_STAGES, stages, params, dataset, method="", seed=None))


def _ingredients(
    names: tuple[str, ...],
    stages: Mapping[str, Any],
    params: Mapping[str, Any],
    dataset: str,
    method: str,
    seed: int | None,
) -> dict[str, str]:
    found = {"dataset": dataset, "method": method} | ({} if seed is None else {"seed": str(seed)})
    for name in names:
        stage = stages[name].get("do", stages[name])
        for section in stage.get("params", []):
            if section == "sources.${item}":  # what the archive holds counts, not where it was fetched
                found["data.sha256"] = params["sources"][dataset]["sha256"]
            elif section == "recipes.${item.method}":
                found |= _flat("recipe", params["recipes"][method])
            else:
                found |= _flat(section, params[section])
        for dependency in stage["deps"]:
            if dependency.endswith(".py"):
                try:
                    found[f"code.{dependency}"] = hashlib.sha256(Path(dependency).read_bytes()).hexdigest()[:12]
                except FileNotFoundError as error:
                    raise UserError(f"{DVC_PATH}: stage {name} depends on {dependency}, which does not exist") from error
    return found


def _flat(prefix: str, value: Any) -> dict[str, str]:
    if isinstance(value, Mapping):
        return {k: v for key, inner in value.items() for k, v in _flat(f"{prefix}.{key}", inner).items()}
    return {prefix: str(value)}


def _digest(ingredients: Mapping[str, str]) -> str:
    return hashlib.sha256(json.dumps(ingredients, sort_keys=True).encode()).hexdigest()[:16]
