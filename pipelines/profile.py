"""Puts a profile into `params.yaml`: `make profile PROFILE=paper`.

A profile, `profiles/NAME.yaml`, holds what differs from the `params.yaml` of the last commit, or from the profile that its
key `extends` names. Mappings merge, lists and scalars replace, null takes a key away. A recipe with `extends: RECIPE` is
that recipe with the keys beside it changed. What comes out is a whole `params.yaml`, checked like any other.
"""

from __future__ import annotations

import argparse
import contextlib
import difflib
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pennet.atomic import write_text
from pennet.config import Config, ConfigError, config_from_mapping
from pennet.errors import UserError
from pipelines.params import PARAMS_PATH, edited_yaml, parse_yaml, read_yaml
from pipelines.repository import git

PROFILES = Path("profiles")
EXTENDS = "extends"


def profile_names() -> list[str]:
    """The profiles that there are."""
    return sorted(path.stem for path in PROFILES.glob("*.yaml"))


def committed_params() -> dict[str, Any]:
    """The parameters of the last commit, which every profile starts from."""
    source = f"{PARAMS_PATH} of the last commit"
    values: dict[str, Any] = parse_yaml(_committed(), source)
    config_from_mapping(Config, values, source)
    return values


def resolved(name: str, base: Mapping[str, Any], above: tuple[str, ...] = ()) -> dict[str, Any]:
    """All parameters of a profile, as plain mappings.

    Args:
        name: of a file in `profiles/`, without `.yaml`.
        base: a whole `params.yaml`, what the profile changes.
        above: profiles that are being resolved and extend this one.

    Raises:
        UserError: no such profile, a circle of them, or any value that `params.yaml` could not have; names file and path.
    """
    path = PROFILES / f"{name}.yaml"
    if name not in profile_names():
        raise UserError(f"{path} does not exist; known profiles are {', '.join(profile_names())}")
    if name in above:
        raise UserError(f"{path}: extends: {' -> '.join((*above, name))} goes in a circle")
    changes = read_yaml(path)
    if not isinstance(changes, dict):
        raise ConfigError([f"top level: expected a mapping, got {changes!r}"], str(path))
    parent = changes.pop(EXTENDS, None)
    problems: list[str] = []
    values = _merged(base if parent is None else resolved(str(parent), base, (*above, name)), changes, "", problems)
    recipes = values.get("recipes")
    if isinstance(recipes, dict):
        values["recipes"] = {recipe: _variant(recipes, recipe, (), problems) for recipe in recipes}
    if problems:
        raise ConfigError(problems, str(path))
    config_from_mapping(Config, values, str(path))
    return values


def ancestors(name: str) -> list[str]:
    """The profiles that a profile extends, the nearest first; those of a profile that `resolved` takes.

    Raises:
        UserError: one of them cannot be read.
    """
    parent = read_yaml(PROFILES / f"{name}.yaml").get(EXTENDS)
    return [] if parent is None else [str(parent), *ancestors(str(parent))]


def apply(name: str) -> Iterator[str]:
    """Writes a profile to `params.yaml`; returns the lines of a unified diff.

    Raises:
        UserError: see `resolved`; or `params.yaml` has changes that would be lost.
    """
    text = _whole_text(name)
    refuse_changes_of_ones_own()
    before = PARAMS_PATH.read_text(encoding="utf-8").splitlines()
    write_text(PARAMS_PATH, text)
    return difflib.unified_diff(before, text.splitlines(), str(PARAMS_PATH), f"{PARAMS_PATH} ({name})", lineterm="", n=1)


def refuse_changes_of_ones_own() -> None:
    """Lets pass a `params.yaml` that is the last commit's or what a profile resolves to.

    Raises:
        UserError: it is neither; says what to do.
    """
    committed, text = _committed(), PARAMS_PATH.read_text(encoding="utf-8")
    if text == committed:
        return
    for name in profile_names():
        with contextlib.suppress(UserError):  # another profile's mistake is not in question
            if text == _whole_text(name):
                return
    raise UserError(
        f"{PARAMS_PATH} has changes that are in no commit and no profile; commit it, move them into {PROFILES}/NAME.yaml,"
        f" or drop them with `git checkout {PARAMS_PATH}`"
    )


def _committed() -> str:
    try:
        return git("show", f"HEAD:./{PARAMS_PATH}")
    except UserError as error:
        if "does not exist" in str(error) or "not in 'HEAD'" in str(error):
            raise UserError(f"{PARAMS_PATH} is not in the last commit; commit it first") from error
        raise


def _whole_text(name: str) -> str:
    head = f"# Resolved from {PROFILES / name}.yaml; `git checkout {PARAMS_PATH}` takes it back.\n"
    return head + edited_yaml(_committed(), resolved(name, committed_params()))


def _merged(values: Mapping[str, Any], changes: Mapping[str, Any], path: str, problems: list[str]) -> dict[str, Any]:
    result = dict(values)
    for key, change in changes.items():
        if change is None:
            if result.pop(key, None) is None:
                problems.append(f"{path}{key}: null takes a key away, but there is none")
        elif isinstance(change, dict) and isinstance(result.get(key), dict) and EXTENDS not in change:
            result[key] = _merged(result[key], change, f"{path}{key}.", problems)
        else:
            result[key] = change
    return result


def _variant(recipes: Mapping[str, Any], name: str, above: tuple[str, ...], problems: list[str]) -> Any:
    """A recipe, with what it extends filled in."""
    recipe = recipes[name]
    if not isinstance(recipe, dict) or EXTENDS not in recipe:
        return recipe
    parent, where = recipe[EXTENDS], f"recipes.{name}"
    changes = {key: value for key, value in recipe.items() if key != EXTENDS}
    if parent not in recipes:
        problems.append(f"{where}.{EXTENDS}: {parent!r} is not one of {', '.join(recipes)}")
    elif parent == name or parent in above:
        problems.append(f"{where}.{EXTENDS}: {' -> '.join((*above, name, parent))} goes in a circle")
    else:
        return _merged(_variant(recipes, parent, (*above, name), problems), changes, f"{where}.", problems)
    return changes


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("profile", help="a file of profiles/, without .yaml")
    name = parser.parse_args().profile
    try:
        difference = list(apply(name))
    except (UserError, OSError) as error:
        sys.exit(f"profile: {error}")
    print("\n".join(difference) or f"{PARAMS_PATH} is what profile {name} resolves to already")


if __name__ == "__main__":
    main()
