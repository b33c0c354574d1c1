"""From plain mappings, as read from YAML or JSON, to the dataclasses of a configuration: strictly, all problems at once."""

from __future__ import annotations

import math
import types
import typing
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any, Literal, TypeVar, Union, get_args, get_origin

from pennet.errors import UserError

T = TypeVar("T")


class ConfigError(UserError):
    """Bad values in a configuration, all of them in one message, each named by its path."""

    def __init__(self, problems: list[str], source: str = "configuration"):
        self.problems = problems
        super().__init__(f"{source}: {len(problems)} problem(s)\n" + "\n".join(f"  - {p}" for p in problems))


def config_from_mapping(cls: type[T], values: Any, source: str = "configuration") -> T:
    """Builds a configuration dataclass from plain mappings, strictly.

    Args:
        cls: the dataclass, for example `Config` or one of its sections; a union of dataclasses is told apart by their
            field `method`.
        values: nested mappings, lists and scalars, as read from YAML or JSON.
        source: what to call the input in an error, usually the file's name.

    Raises:
        ConfigError: unknown or missing keys, wrong types, impossible values; all of them, each by its path.
    """
    problems: list[str] = []
    built = _build(cls, values, "", problems)
    if not problems:
        problems += _broken_limits(built, "")
    if problems:
        raise ConfigError(problems, source)
    return typing.cast(T, built)


def _build(kind: Any, value: Any, path: str, problems: list[str]) -> Any:
    origin, args = get_origin(kind), get_args(kind)
    if is_dataclass(kind):
        return _build_dataclass(kind, value, path, problems)
    if origin is Literal:
        if value not in args or isinstance(value, bool) != isinstance(args[0], bool):
            problems.append(f"{path}: {value!r} is not one of {', '.join(map(str, args))}")
        return value
    if origin is list:
        if not isinstance(value, list | tuple):
            problems.append(f"{path}: expected a list, got {value!r}")
            return []
        return [_build(args[0], v, f"{path}[{i}]", problems) for i, v in enumerate(value)]
    if origin is dict:
        if not isinstance(value, Mapping):
            problems.append(f"{path}: expected a mapping, got {value!r}")
            return {}
        return {str(k): _build(args[1], v, f"{path}.{k}", problems) for k, v in value.items()}
    if origin in (Union, types.UnionType) and all(is_dataclass(a) for a in args):
        return _build_method(args, value, path, problems)
    if origin in (Union, types.UnionType):
        if value is None and type(None) in args:
            return None
        return _build(next(a for a in args if a is not type(None)), value, path, problems)
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if kind is float and isinstance(value, float) and not math.isfinite(value):
        problems.append(f"{path}: expected a finite number, got {value!r}")
        return value
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        problems.append(f"{path}: expected {kind.__name__}, got {value!r} ({type(value).__name__})")
        return value
    return kind(value)


def _build_method(kinds: tuple[Any, ...], value: Any, path: str, problems: list[str]) -> Any:
    """Builds the one of several dataclasses whose field `method` has the value's name."""
    by_name = {get_args(typing.get_type_hints(kind)["method"])[0]: kind for kind in kinds}
    method = value.get("method") if isinstance(value, Mapping) else None
    if not isinstance(method, str) or method not in by_name:
        where = f"{path}.method" if path else "method"
        problems.append(f"{where}: {method!r} is not one of {', '.join(by_name)}")
        return None
    return _build_dataclass(by_name[method], value, path, problems)


def _build_dataclass(cls: Any, value: Any, path: str, problems: list[str]) -> Any:
    if not isinstance(value, Mapping):
        problems.append(f"{path or 'top level'}: expected a mapping, got {value!r}")
        return None
    hints = typing.get_type_hints(cls)
    prefix = f"{path}." if path else ""
    names = [f.name for f in fields(cls)]
    problems += [f"{prefix}{key}: unknown key" for key in value if key not in names]
    missing = [name for name in names if name not in value]
    problems += [f"{prefix}{name}: missing" for name in missing]
    built = {n: _build(hints[n], value[n], f"{prefix}{n}", problems) for n in names if n in value}
    return None if missing else cls(**built)


def _broken_limits(section: Any, path: str) -> list[str]:
    """The limits of a section and of all sections in it that do not hold, then what does not fit between them."""
    prefix = f"{path}." if path else ""
    broken: list[str] = []
    if hasattr(section, "limits"):
        broken += [f"{prefix}{key}: {getattr(section, key)!r} {why}" for holds, key, why in section.limits() if not holds]
    for field in fields(section):
        value = getattr(section, field.name)
        if is_dataclass(value):
            broken += _broken_limits(value, f"{prefix}{field.name}")
        elif isinstance(value, dict):
            for name, entry in value.items():
                broken += _broken_limits(entry, f"{prefix}{field.name}.{name}")
    if hasattr(section, "mismatches"):
        broken += section.mismatches()
    return broken
