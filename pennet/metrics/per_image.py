"""`per_image.csv`: one row per image, one column per metric, every digit kept.

Where the images are filled once for each test protocol, there is a row for each protocol and image.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pennet.atomic import write_text
from pennet.errors import UserError
from pennet.metrics.pixel import Values


@dataclass(frozen=True)
class PerImage:
    names: list[str]
    hole_ratio: Values | None
    """(N,) in [0,1]; None without masks."""
    values: dict[str, Values]
    """By metric: (N,); NaN where undefined, inf where an image is identical to the truth (PSNR)."""


def write_per_image(path: Path, table: PerImage) -> None:
    """Columns `name`, `hole_ratio`, then the metrics; undefined: an empty cell, infinite: `inf`."""
    _write(path, ["name"], {(): table})


def write_per_protocol(path: Path, tables: Mapping[str, PerImage]) -> None:
    """As `write_per_image`, with a first column `protocol`.

    Args:
        path: of the file.
        tables: by protocol, the headline first; all with the same metrics.
    """
    _write(path, ["protocol", "name"], {(protocol,): table for protocol, table in tables.items()})


def _write(path: Path, header: list[str], tables: Mapping[tuple[str, ...], PerImage]) -> None:
    columns = {labels: _columns(table) for labels, table in tables.items()}
    names = [[*of_table] for of_table in columns.values()]
    if any(others != names[0] for others in names):
        raise ValueError(f"{path}: tables of different metrics")
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*header, *names[0]])
    for labels, of_table in columns.items():
        for i, name in enumerate(tables[labels].names):
            cells = ("" if np.isnan(column[i]) else repr(float(column[i])) for column in of_table.values())
            writer.writerow([*labels, name, *cells])
    write_text(path, text.getvalue())


def _columns(table: PerImage) -> dict[str, Values]:
    return ({} if table.hole_ratio is None else {"hole_ratio": table.hole_ratio}) | table.values


def read_per_protocol(path: Path) -> dict[str, PerImage]:
    """Reads what `write_per_protocol` wrote, bit for bit: by protocol, the headline first.

    Raises:
        UserError: a cell is not a number, or a row has another length than the header.
        OSError: it cannot be read.
    """
    with path.open(newline="", encoding="utf-8") as file:
        header, *rows = list(csv.reader(file)) or [[]]
    if header[:2] != ["protocol", "name"]:
        found = f"the first columns must be 'protocol' and 'name', got {header[:2]}"
        raise UserError(f"{path}: {found}; run the evaluation again")
    bad = [i for i, row in enumerate(rows, start=2) if len(row) != len(header)]
    if bad:
        raise UserError(f"{path}: line {bad[0]} has not {len(header)} cells; run the evaluation again")
    by_protocol: dict[str, list[list[str]]] = {}
    for row in rows:
        by_protocol.setdefault(row[0], []).append(row)
    try:
        return {protocol: _table(header, of_protocol) for protocol, of_protocol in by_protocol.items()}
    except ValueError as error:
        raise UserError(f"{path}: {error}; run the evaluation again") from error


def _table(header: list[str], rows: list[list[str]]) -> PerImage:
    columns = {
        key: np.array([float(row[i]) if row[i] else np.nan for row in rows], dtype=np.float64)
        for i, key in enumerate(header)
        if i > 1
    }
    return PerImage([row[1] for row in rows], columns.pop("hole_ratio", None), columns)
