"""What the sections share: the words for common limits, and a place for those that concern several keys."""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Iterable, Iterator
from typing import Annotated, Any, TypeAlias

from pydantic import AfterValidator, Field, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from pennet.errors import nearest

Limits: TypeAlias = Iterator[tuple[bool, str, str]]
"""Of a section: whether it holds, the (dotted) key that is wrong if it does not, and what is wrong with its value."""

NAME_PATTERN = r"[a-z][a-z0-9_]*"
"""Names of data sets and recipes: they become folders, DVC's stage names and words of a shell command."""

DEVICE_PATTERN = r"auto|cpu|cuda(:(0|[1-9][0-9]*))?"
"""`runtime.device` and `--device`."""

MAX_SEED = 2**32 - 1
"""The largest seed that every library takes."""

Seed = Annotated[int, Field(ge=0, le=MAX_SEED)]
Ratio = Annotated[float, Field(ge=0, lt=1)]
"""In [0, 1)."""
Share = Annotated[float, Field(gt=0, lt=1)]
"""In (0, 1)."""


def checked(holds: Callable[[str], object], why: str) -> AfterValidator:
    """A limit of words: an `Annotated` string that breaks it is wrong because of `why`."""

    def check(value: str) -> str:
        if not holds(value):
            raise PydanticCustomError("limit", "{why}", {"why": why})
        return value

    return AfterValidator(check)


def one_of(names: Iterable[str]) -> AfterValidator:
    """A word of a list that others may extend."""
    known = tuple(names)

    def check(value: str) -> str:
        if value not in known:
            why = f"is not one of {', '.join(known)}{nearest(value, known)}"
            raise PydanticCustomError("limit", "{why}", {"why": why})
        return value

    return AfterValidator(check)


class Section:
    """Base of every section, a frozen dataclass: the types of its fields say what each may be, `limits` what all may be."""

    def limits(self) -> Limits:
        """What the types cannot say, asked once they hold."""
        return iter(())

    @model_validator(mode="after")
    def _within_limits(self) -> Any:
        broken: list[Any] = [
            {
                "type": PydanticCustomError("limit", "{why}", {"why": why}),
                "loc": tuple(key.split(".")),
                "input": functools.reduce(_entry, key.split("."), self),
            }
            for holds, key, why in self.limits()
            if not holds
        ]
        if broken:
            raise ValidationError.from_exception_data(type(self).__name__, broken)
        return self


def _entry(section: Any, key: str) -> Any:
    return operator.getitem(section, key) if isinstance(section, dict) else getattr(section, key)
