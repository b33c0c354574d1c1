"""What a preparation has stored so far, in parts that stay if it is killed."""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from itertools import groupby, islice
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from pennet.atomic import replacing, write_json
from pennet.data.preparing.storing import Stored
from pennet.data.sets.spec import Item

if TYPE_CHECKING:
    from pyarrow import Schema, Table

logger = logging.getLogger(__name__)

PART_PICTURES, PART_BYTES = 1000, 64 << 20
"""A part is finished when it has so many pictures, or bytes of stored content."""
_SETTINGS = "settings.json"


def schema() -> Schema:
    """Of the rows, one for each picture that was looked at."""
    import pyarrow as pa

    return pa.schema(
        {
            "key": pa.string(),
            "group": pa.string(),
            "source_sha256": pa.binary(32),  # of the file that it came as
            "rejected": pa.string(),  # why; null for a picture that is stored, and only then what follows is not null
            "ending": pa.string(),
            "width_px": pa.int32(),
            "height_px": pa.int32(),
            "part": pa.int32(),
            "part_offset": pa.int64(),
            "size": pa.int64(),
            "sha256": pa.binary(32),
            "fingerprint": pa.uint64(),
            "pixels_sha256": pa.binary(32),
        }
    )


class Parts:
    """Pictures in the order of the source: `part-00000.bin` holds contents one after the other, `part-00000.parquet` a row
    for each picture, stored or rejected. It is written last: a part without it does not count.

    Where one part ends and the next begins changes nothing in what is made of them.

    Args:
        folder: where they lie; is made. One process at a time may use it.
        settings: what decides how a picture is stored; parts of other settings are removed.
    """

    def __init__(self, folder: Path, settings: Mapping[str, Any]) -> None:
        self._folder = folder
        self._rows: list[dict[str, Any]] = []
        self._file: BinaryIO | None = None
        known = folder / _SETTINGS
        if not known.is_file() or json.loads(known.read_text(encoding="utf-8")) != dict(settings):
            self._clear()
            write_json(known, dict(settings))
        self._num_parts = next(n for n in range(1 << 31) if not self._path(n, "parquet").exists())

    def skip(self, items: Iterator[Item]) -> int | None:
        """Passes over the pictures that are here already.

        Args:
            items: of the source, from its first on; afterwards it goes on where the parts end.

        Returns:
            How many were passed over; None if they are no longer what they were, which removes all parts.
        """
        from pyarrow import parquet

        skipped = 0
        for part in range(self._num_parts):
            table = parquet.read_table(self._path(part, "parquet"), columns=["key", "group", "source_sha256"])
            known = zip(*(column.to_pylist() for column in table.columns), strict=True)
            now = ((item.key, item.group, hashlib.sha256(item.content).digest()) for item in islice(items, len(table)))
            if list(known) != list(now):
                logger.warning("%s: the source has changed since; preparing all of it again", self._folder)
                self._clear()
                self._num_parts = 0
                return None
            skipped += len(table)
        return skipped

    def add(self, key: str, group: str, source_sha256: bytes, outcome: Stored | str) -> None:
        """Takes the next picture, or the reason why there is none of it."""
        row: dict[str, Any] = {"key": key, "group": group, "source_sha256": source_sha256}
        if self._file is None:
            self._file = self._path(self._num_parts, "bin").open("wb")
        if isinstance(outcome, Stored):
            row |= vars(outcome) | {"part": self._num_parts, "part_offset": self._file.tell(), "size": len(outcome.content)}
            self._file.write(row.pop("content"))
        else:
            row["rejected"] = outcome
        self._rows.append(row)
        if len(self._rows) >= PART_PICTURES or self._file.tell() >= PART_BYTES:
            self.finish()

    def finish(self) -> None:
        """Ends the part, flushed to the disk; the next picture begins another one."""
        import pyarrow as pa
        from pyarrow import parquet

        if self._file is None:
            return
        with self._file as file:
            file.flush()
            os.fsync(file.fileno())
        with replacing(self._path(self._num_parts, "parquet")) as temporary:
            parquet.write_table(pa.Table.from_pylist(self._rows, schema()), temporary)
        self._num_parts += 1
        self._rows, self._file = [], None

    def rows(self) -> Table:
        """All rows of the finished parts, in order."""
        import pyarrow as pa
        from pyarrow import parquet

        tables = [parquet.read_table(self._path(part, "parquet")) for part in range(self._num_parts)]
        return pa.concat_tables(tables or [schema().empty_table()])

    def contents(self, rows: Table) -> Iterator[bytes]:
        """The contents of rows, which are none of rejected pictures; fast where the rows are in order."""
        places = zip(*(rows[name].to_pylist() for name in ("part", "part_offset", "size")), strict=True)
        for part, of_part in groupby(places, key=itemgetter(0)):
            with self._path(part, "bin").open("rb") as file:
                for _, offset, size in of_part:
                    file.seek(offset)
                    yield file.read(size)

    def remove(self) -> None:
        """Removes all that was kept; of other files that lie in the folder none."""
        self._clear()
        (self._folder / _SETTINGS).unlink(missing_ok=True)
        with suppress(OSError):
            self._folder.rmdir()

    def _clear(self) -> None:
        for path in self._folder.glob("part-*"):
            path.unlink()

    def _path(self, part: int, ending: str) -> Path:
        return self._folder / f"part-{part:05d}.{ending}"
