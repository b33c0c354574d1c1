"""Stored pictures become shards: who looks like a picture of another split goes, the rest is copied in order."""

from __future__ import annotations

import hashlib
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from pennet.data.pictures.shards import COLUMNS, INDEX, SPLITS
from pennet.data.preparing.leaving_out import KEPT, leave_out
from pennet.data.preparing.parts import Parts
from pennet.data.preparing.shard_writer import ShardWriter
from pennet.data.sets.splits import Split
from pennet.errors import UserError

if TYPE_CHECKING:
    from pyarrow import Table

_HEADER_BYTES = 1024
"""Of a tar member, with what fills its last block, on average less."""
_ROW_GROUP = 1 << 16


@dataclass(frozen=True)
class Chosen:
    """What goes into the shards."""

    rows: Table
    """As in `pennet.data.preparing.parts.schema`, in the order of the shards."""
    splits: NDArray[np.int8]
    """Of the rows, as places in `SPLITS`; ascending."""
    left_out: list[tuple[str, str, int, str]]
    """Key, like, distance in bits, reason."""
    num_alike_within: dict[str, int]
    """By split: pictures that look like others of their split."""

    def counts(self) -> dict[str, int]:
        return dict(zip(SPLITS, np.bincount(self.splits, minlength=len(SPLITS)).tolist(), strict=True))


def choose(stored: Table, split: Split, max_look_alike_bits: int) -> Chosen:
    """Orders pictures by their splits, without those that have to go.

    Args:
        stored: rows of `pennet.data.preparing.parts.schema`, none of them rejected, in the order of the source.
        split: where they go.
        max_look_alike_bits: as in `leave_out`.

    Raises:
        UserError: nothing is left of a split; says which.
    """
    numbers = np.fromiter((SPLITS.index(split.of[key.as_py()]) for key in stored["key"]), np.int8, len(stored))
    verdict = leave_out(stored["fingerprint"].to_numpy(), numbers, max_look_alike_bits)
    going = np.flatnonzero(verdict.like != KEPT)
    left_out = [
        (key, like, bits, f"looks like a {SPLITS[number]} picture")
        for key, like, bits, number in zip(
            stored["key"].take(going).to_pylist(),
            stored["key"].take(verdict.like[going]).to_pylist(),
            verdict.distance[going].tolist(),
            numbers[verdict.like[going]],
            strict=True,
        )
    ]
    staying = np.flatnonzero(verdict.like == KEPT)
    staying = staying[np.argsort(numbers[staying], kind="stable")]
    chosen = Chosen(stored.take(staying), numbers[staying], left_out, verdict.num_alike_within)
    empty = [name for name, count in chosen.counts().items() if not count and split.counts()[name]]
    if empty:
        without = f"{len(left_out):,} pictures are left out as look-alikes, others rejected"
        raise UserError(f"nothing is left of the {' and '.join(empty)} split: {without}; give more or divide otherwise")
    return chosen


def write_shards(chosen: Chosen, parts: Parts, folder: Path, shard_bytes: int) -> None:
    """Writes the shards and their index.

    Raises:
        UserError: the disk has no room for them.
    """
    import pyarrow as pa
    from pyarrow import compute, parquet

    needed = (compute.sum(chosen.rows["size"]).as_py() or 0) + len(chosen.rows) * _HEADER_BYTES
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise UserError(f"{folder}: {needed:,} more bytes are needed, {free:,} are free; make room and start again")
    shard, offset = np.empty(len(chosen.rows), np.int32), np.empty(len(chosen.rows), np.int64)
    names = (chosen.rows[column] for column in ("key", "ending"))
    pictures = zip(*names, chosen.splits, parts.contents(chosen.rows), strict=True)
    with ShardWriter(folder, shard_bytes) as writer:
        current = -1
        for i, (key, ending, number, content) in enumerate(tqdm(pictures, "shards", len(shard), unit="image", delay=1)):
            if number != current:
                writer.end_shard()
                current = number
            shard[i], offset[i] = writer.add(key.as_py(), ending.as_py(), content)
    written = {"split": np.array(SPLITS)[chosen.splits], "shard": shard, "offset": offset}
    columns = {name: written[name] if name in written else chosen.rows[name] for name in COLUMNS}
    parquet.write_table(pa.table(columns), folder / INDEX, row_group_size=_ROW_GROUP)


def digests(chosen: Chosen) -> dict[str, str]:
    """Of each split that has pictures, the sha256 over those of its pictures' pixels, in order: equal digests are the same
    data, wherever they came from."""
    hashes = chosen.rows["pixels_sha256"].to_pylist()
    of_split = {name: [hashes[row] for row in np.flatnonzero(chosen.splits == i)] for i, name in enumerate(SPLITS)}
    return {name: hashlib.sha256(b"".join(found)).hexdigest() for name, found in of_split.items() if found}
