"""What a prepared data set holds, in numbers: pictures and groups of each split, sizes, and what is not in it and why."""

from __future__ import annotations

import csv
import json
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pennet.data.pictures.shards import INDEX, SPLITS
from pennet.errors import UserError
from pennet.extras import require

QUANTILES = {"smallest": 0, "5 %": 5, "half": 50, "95 %": 95, "largest": 100}
"""Shares of the pictures, in percent, that are at most as large."""
_REMEDY = "give a folder that stage prepare has written, such as data/prepared/NAME"


@dataclass(frozen=True)
class SplitStatistics:
    name: str
    num_pictures: int
    num_groups: int
    num_bytes: int
    """As they are stored."""
    smaller_side_px: tuple[int, ...]
    """Of the source pictures, at `QUANTILES`; empty for no pictures."""


@dataclass(frozen=True)
class Reason:
    """Why pictures are not in a prepared data set."""

    count: int
    example: str
    """One of them, with its own reason."""


def of_splits(folder: Path) -> list[SplitStatistics]:
    """The statistics of train, val and test.

    Raises:
        UserError: no prepared data set, or a damaged index; names it.
    """
    require("data", "pyarrow")
    from pyarrow import ArrowException, parquet

    path, found = folder / INDEX, []
    if not path.is_file():
        raise UserError(f"{path}: no such file; {_REMEDY}")
    columns = ["split", "group", "size", "width_px", "height_px"]
    try:
        table = parquet.read_table(path, columns=columns, partitioning=None)
        split, group, size, width, height = (table[column].to_numpy() for column in columns)
    except (ArrowException, KeyError, OSError) as error:
        raise UserError(f"{path}: is no index of pictures ({error}); prepare the data set again") from error
    for name in SPLITS:
        chosen = split == name
        smaller = np.minimum(width, height)[chosen]
        sides = np.percentile(smaller, [*QUANTILES.values()], method="lower") if len(smaller) else []
        num_bytes, num_groups = int(size[chosen].sum()), len(set(group[chosen]))
        found.append(SplitStatistics(name, int(chosen.sum()), num_groups, num_bytes, tuple(int(side) for side in sides)))
    return found


def reasons(file: Path) -> list[Reason]:
    """The kinds of reasons in a `rejected.csv` or `left_out.csv`, the most frequent first; none if there is no such file.

    Reasons are of one kind that differ in nothing but numbers and the name of their picture.

    Raises:
        UserError: the file is no table with columns `key` and `reason`.
    """
    if not file.is_file():
        return []
    examples: dict[str, str] = {}
    counts: Counter[str] = Counter()
    for row in _rows(file):
        try:
            key, reason = row["key"], row["reason"]
        except KeyError as error:
            raise UserError(f"{file}: has no column {error}; prepare the data set again") from error
        reason = reason.removeprefix(f"{key}: ")
        kind = re.sub(r"\d[\d,.]*", "N", reason.replace(key, "KEY"))
        examples.setdefault(kind, f"{key}: {reason}")
        counts[kind] += 1
    return [Reason(count, examples[kind]) for kind, count in counts.most_common()]


def _rows(file: Path) -> list[dict[str, str]]:
    try:
        with file.open(newline="", encoding="utf-8") as opened:
            return [{name or "": value or "" for name, value in row.items()} for row in csv.DictReader(opened)]
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{file}: is no table ({error}); prepare the data set again") from error


def card_facts(folder: Path) -> dict[str, Any]:
    """What `card.json` says in a line each; empty if there is none.

    Raises:
        UserError: it is no JSON.
    """
    path = folder / "card.json"
    if not path.is_file():
        return {}
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UserError(f"{path}: no JSON ({error}); prepare the data set again") from error
    return {key: value for key, value in values.items() if not isinstance(value, dict | list) and _in_a_line(value)}


def _in_a_line(value: object) -> bool:
    return value is not None and len(str(value).splitlines()) == 1
