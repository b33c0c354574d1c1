"""The only reader of `params.yaml`, and the command line that every stage shares."""

from __future__ import annotations

import argparse
import inspect
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pennet.config import Config, ConfigError, MethodConfig, config_from_mapping

PARAMS_PATH = Path("params.yaml")


def read_yaml(path: Path) -> Any:
    """Reads YAML 1.2, as DVC does (PyYAML would read `1e-4` as a string).

    Raises:
        ConfigError: no such file, or not YAML.
    """
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        return YAML(typ="safe", pure=True).load(path.read_text())
    except FileNotFoundError as error:
        raise ConfigError([f"no such file in {Path.cwd()}; run from the repository's root"], str(path)) from error
    except YAMLError as error:
        raise ConfigError([f"not YAML: {error}"], str(path)) from error


def write_yaml(path: Path, value: Any) -> None:
    """Writes plain mappings, lists and scalars so that `read_yaml` gets them back."""
    from ruamel.yaml import YAML

    from pennet.atomic import replacing

    yaml = YAML(typ="safe", pure=True)
    yaml.default_flow_style = False
    yaml.sort_base_mapping_type_on_output = False  # type: ignore[assignment]
    with replacing(path) as temporary:
        yaml.dump(value, temporary)


def load_params(path: Path = PARAMS_PATH) -> Config:
    """Reads and checks `params.yaml`.

    Raises:
        ConfigError: every problem of the file, each by its path.
    """
    return config_from_mapping(Config, read_yaml(path), str(path))


def stage_sections(run: Callable[..., None]) -> list[str]:
    """The parameters of a stage's `run` after its positional (matrix) arguments: sections of `params.yaml`."""
    return [p.name for p in inspect.signature(run).parameters.values() if p.kind is p.KEYWORD_ONLY]


def stage_main(run: Callable[..., None]) -> None:
    """Runs a stage: `python -m pipelines.STAGE DATASET [METHOD [SEED]]`.

    `run`'s positional arguments come from the command line, its keyword-only ones are sections of `params.yaml`
    (`recipe` is the entry of `recipes` with the method's name). What a user can mend ends in one message and exit status 1.
    """
    parameters = inspect.signature(run).parameters.values()
    parser = argparse.ArgumentParser(description=inspect.getdoc(run))
    for parameter in parameters:
        if parameter.kind is not parameter.KEYWORD_ONLY:
            optional = {} if parameter.default is parameter.empty else {"nargs": "?", "default": parameter.default}
            parser.add_argument(parameter.name, type=int if parameter.name == "seed" else str, **optional)
    arguments = vars(parser.parse_args())
    try:
        config = load_params()
        sections = {
            name: _recipe(config, arguments["method"]) if name == "recipe" else getattr(config, name)
            for name in stage_sections(run)
        }
        run(**arguments, **sections)
    except (ValueError, OSError) as error:
        stage = Path(inspect.getfile(run)).stem
        sys.exit(f"{stage} {' '.join(str(value) for value in arguments.values() if value is not None)}: {error}")


def _recipe(config: Config, method: str) -> MethodConfig:
    if method not in config.recipes:
        raise ValueError(f"recipes: has no entry {method!r}; known are {', '.join(config.recipes)}")
    return config.recipes[method]
