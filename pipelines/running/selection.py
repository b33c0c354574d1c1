"""What a person asks of `train` and `evaluate` in Prefect's form: checked, and brought into the terms of `params.yaml`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from pennet.config import Config, config_from_mapping
from pennet.config.sections import OverridesConfig, merged
from pennet.errors import UserError
from pennet.methods import classical_methods
from pipelines.dag import stage_name

OWN_PARAMETERS = ("datasets", "methods", "seeds")
"""Keys of `params.yaml` that are chosen by parameters of the flow."""
REMEDY = "its keys are those of params.yaml, joined by dots, such as train.steps"


@dataclass(frozen=True)
class Selection:
    """Trainings and classical methods on one data set."""

    dataset: str
    learned: list[str]
    classical: list[str]
    seeds: list[int]
    params: dict[str, Any] | None
    """A whole `params.yaml` of the run's own; None where the project's has all of this already."""

    def targets(self, learned: str, classical: str | None) -> list[str]:
        """The stages of these kinds, as DVC calls them."""
        trained = [stage_name(learned, self.dataset, method, seed) for method in self.learned for seed in self.seeds]
        untrained = [stage_name(classical, self.dataset, method) for method in self.classical] if classical else []
        return trained + untrained


def select(
    values: Mapping[str, Any], dataset: str, methods: Sequence[str], seeds: Sequence[int], overrides: Mapping[str, Any]
) -> Selection:
    """Checks what a flow was started with.

    Args:
        values: the project's `params.yaml`, as plain mappings.
        dataset: an entry of `sources`.
        methods: learned ones (entries of `recipes`) or classical ones; none for those of `params.yaml`.
        seeds: of the trainings; none for those of `params.yaml`.
        overrides: other values for keys of `params.yaml`, by dotted names ("train.steps") or nested.

    Raises:
        UserError: names the parameter, what is wrong with it, and what is possible.
    """
    config = config_from_mapping(Config, dict(values), "params.yaml")
    if dataset not in config.sources:
        raise UserError(f"dataset: {dataset!r} is no entry of sources of params.yaml ({', '.join(config.sources)})")
    chosen = merged(dict(values), nested(overrides))
    changed = config_from_mapping(Config, chosen, f"overrides ({REMEDY})")
    known_classical = classical_methods()
    if strangers := [name for name in methods if name not in changed.recipes and name not in known_classical]:
        known = ", ".join([*changed.recipes, *known_classical])
        raise UserError(f"methods: {strangers[0]!r} is none; recipes of params.yaml and classical ones are {known}")
    learned = [name for name in methods if name in changed.recipes] if methods else config.methods.learned
    classical = [name for name in methods if name in known_classical] if methods else config.methods.classical
    wanted_seeds = list(seeds) or config.seeds
    _refuse_what_a_data_set_overrides(changed, dataset, nested(overrides))
    own = {
        "datasets": [dataset],
        "methods": {"learned": list(learned), "classical": list(classical)},
        "seeds": wanted_seeds,
    }
    as_it_is = (
        not overrides
        and dataset in config.datasets
        and set(learned) <= set(config.methods.learned)
        and set(classical) <= set(config.methods.classical)
        and set(wanted_seeds) <= set(config.seeds)
    )
    params = None if as_it_is else chosen | own
    if params:
        config_from_mapping(Config, params, "this run").of(dataset)
    return Selection(dataset, list(learned), list(classical), wanted_seeds, params)


def nested(overrides: Mapping[str, Any]) -> dict[str, Any]:
    """{"train.steps": 100} -> {"train": {"steps": 100}}.

    Raises:
        UserError: an override that no run may have, or one key twice.
    """
    result: dict[str, Any] = {}
    for name, value in overrides.items():
        *above, last = name.split(".")
        if (section := (above or [last])[0]) in OWN_PARAMETERS:
            own = {"datasets": "dataset"}.get(section, section)
            raise UserError(f"overrides: {name}: choose it by the parameter {own}")
        if section == "tracking":
            raise UserError(f"overrides: {name}: every run is recorded in the store of params.yaml; change it there")
        change = {last: value}
        for key in reversed(above):
            change = {key: change}
        _refuse_twice(result, change, name)
        result = merged(result, change)
    return result


def _refuse_twice(known: Any, change: Any, name: str) -> None:
    for key in change:
        if key not in known:
            continue
        if not (isinstance(known[key], dict) and isinstance(change[key], dict)):
            raise UserError(f"overrides: {name} is set twice; keep one")
        _refuse_twice(known[key], change[key], name)


def _refuse_what_a_data_set_overrides(config: Config, dataset: str, overrides: Mapping[str, Any]) -> None:
    """What `params.yaml` sets for this data set wins over what it sets for all: such an override would do nothing."""
    special = asdict(config.overrides[dataset]) if dataset in config.overrides else {}
    for section in OverridesConfig.__dataclass_fields__:
        for path in _paths(overrides.get(section, {}), section):
            if _holds(special, path.split(".")):
                raise UserError(
                    f"overrides: {path}: params.yaml sets it for {dataset} alone; override overrides.{dataset}.{path}"
                )


def _paths(values: Any, path: str) -> list[str]:
    if not isinstance(values, Mapping):
        return [path]
    return [found for key, value in values.items() for found in _paths(value, f"{path}.{key}")]


def _holds(values: Any, path: Sequence[str]) -> bool:
    return not path or (isinstance(values, Mapping) and path[0] in values and _holds(values[path[0]], path[1:]))
