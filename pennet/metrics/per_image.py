"""`per_image.csv`: one row per image, one column per metric, every digit kept."""

from __future__ import annotations

import csv
import io
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
    columns = {} if table.hole_ratio is None else {"hole_ratio": table.hole_ratio}
    columns |= table.values
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["name", *columns])
    for i, name in enumerate(table.names):
        writer.writerow([name, *("" if np.isnan(column[i]) else repr(float(column[i])) for column in columns.values())])
    write_text(path, text.getvalue())


def read_per_image(path: Path) -> PerImage:
    """Reads what `write_per_image` wrote, bit for bit.

    Raises:
        UserError: a cell is not a number, or a row has another length than the header.
        OSError: it cannot be read.
    """
    with path.open(newline="") as file:
        header, *rows = list(csv.reader(file)) or [[]]
    if header[:1] != ["name"]:
        raise UserError(f"{path}: the first column must be 'name', got {header[:1]}; run the evaluation again")
    bad = [i for i, row in enumerate(rows, start=2) if len(row) != len(header)]
    if bad:
        raise UserError(f"{path}: line {bad[0]} has not {len(header)} cells; run the evaluation again")
    try:
        columns = {
            key: np.array([float(row[i]) if row[i] else np.nan for row in rows], dtype=np.float64)
            for i, key in enumerate(header)
            if i > 0
        }
    except ValueError as error:
        raise UserError(f"{path}: {error}; run the evaluation again") from error
    return PerImage([row[0] for row in rows], columns.pop("hole_ratio", None), columns)
