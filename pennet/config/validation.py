"""From plain mappings, as read from YAML or JSON, to the dataclasses of a configuration: strictly, all problems at once."""

from __future__ import annotations

import json
import re
from dataclasses import is_dataclass
from functools import cache
from typing import Any, NewType, TypeVar

from pydantic import ConfigDict, TypeAdapter, ValidationError

from pennet.errors import UserError

T = TypeVar("T")

STRICT = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)
EXPECTED = {"int": "int", "float": "float", "string": "str", "bool": "bool", "list": "a list"}
"""What to call pydantic's types in a message; all others are mappings."""
RENAMED = {
    "critic_width": "discriminator_width",
    "critic_steps": "discriminator_steps",
    "critic_learning_rate": "discriminator_learning_rate",
    "protocol": "protocols",
}
"""Keys of older versions, and what they are called now."""


class ConfigError(UserError):
    """Bad values in a configuration, all of them in one message, each named by its path."""

    def __init__(self, problems: list[str], source: str = "configuration"):
        self.problems = problems
        super().__init__(f"{source}: {len(problems)} problem(s)\n" + "\n".join(f"  - {p}" for p in problems))


def config_from_mapping(cls: type[T], values: Any, source: str = "configuration") -> T:
    """Builds a configuration dataclass from plain mappings, strictly.

    Args:
        cls: the dataclass, for example `Config` or one of its sections.
        values: nested mappings, lists and scalars, as read from YAML or JSON.
        source: what to call the input in an error, usually the file's name.

    Raises:
        ConfigError: unknown or missing keys, wrong types, impossible values; all of them, each by its path.
    """
    try:
        return validated(cls, values)
    except ValidationError as error:
        raise ConfigError([_problem(found) for found in error.errors(include_url=False)], source) from error


def validated(cls: Any, values: Any) -> Any:
    """As `config_from_mapping`, with pydantic's own error.

    The values are handed over as JSON, because only there pydantic's strict mode takes a mapping for a dataclass.
    """
    return _adapter(cls).validate_json(json.dumps(values, default=str))


@cache
def _adapter(cls: Any) -> TypeAdapter[Any]:
    # Under a name of its own: a bare dataclass takes no configuration from outside.
    return TypeAdapter(NewType("Whole", cls), config=STRICT)  # type: ignore[arg-type,valid-newtype]


def _problem(error: Any) -> str:
    """One of pydantic's errors as `path: value what-is-wrong`."""
    kind, value, path = error["type"], error["input"], ""
    for step in error["loc"]:
        if step != "[key]":  # how pydantic says that the key itself is wrong
            path += f"[{step}]" if isinstance(step, int) else f".{step}"
    match kind:
        case "missing":
            problem = "missing"
        case "unexpected_keyword_argument":
            new_name = RENAMED.get(error["loc"][-1])
            problem = "unknown key" + (f"; it is called {new_name} now" if new_name else "")
        case "finite_number":
            problem = "a number is too large" if isinstance(value, int) else f"expected a finite number, got {value!r}"
        case "literal_error":
            problem = f"{value!r} is not one of " + ", ".join(re.findall("'(.*?)'", error["ctx"]["expected"]))
        case _ if kind.endswith("_type"):
            expected = EXPECTED.get(kind.removesuffix("_type"), "a mapping")
            problem = f"expected {expected}, got {value!r} ({type(value).__name__})"
        case "limit" if is_dataclass(value):  # a whole section, whose keys the reason names
            problem = str(error["msg"])
        case _:
            problem = f"{value!r} " + re.sub("^(Input|List) should", "must", error["msg"])
    return f"{path.lstrip('.') or 'top level'}: {problem}"
