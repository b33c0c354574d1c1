"""A source becomes a prepared data set: every picture decoded, cut square and resized once, in shards with an index.

The pictures stream through: a few hundred are in memory, however many lie on the disk. What is stored of them goes to parts
in the order of the source, which a preparation finds again after it was killed. When all pictures are known, those that look
like others across splits are left out, and the rest is copied into the shards of its split, in the order of the source, too:
the same bytes for any number of workers, interrupted or not.
"""

from __future__ import annotations

import csv
import errno
import hashlib
import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from pathlib import Path
from typing import Any

from PIL import __version__ as pillow_version
from tqdm import tqdm

from pennet.alone import alone
from pennet.atomic import replacing_folder, write_json, write_text
from pennet.data.preparing.assembling import Chosen, choose, digests, write_shards
from pennet.data.preparing.parts import Parts
from pennet.data.preparing.storing import Stored, store
from pennet.data.sets.spec import DataSet, Item, Source
from pennet.data.sets.splits import Split
from pennet.errors import UserError
from pennet.extras import require
from pennet.images import Resample
from pennet.in_order import Workers, in_order

REJECTED, LEFT_OUT, DIGESTS, CARD = "rejected.csv", "left_out.csv", "digests.json", "card.json"
_BATCH_PICTURES, _BATCH_BYTES = 16, 1 << 20
"""A worker gets so many pictures at once; fewer of large ones."""
_SHOWN = 10

Looked = tuple[str, str, bytes, Stored | str]
"""Key, group and sha256 of a picture as it came, and what is stored of it, or why nothing is."""


def prepare(
    data_set: DataSet,
    source: Source,
    split: Split,
    folder: Path,
    *,
    size_px: int,
    resize_filter: Resample,
    shard_bytes: int,
    max_rejected_ratio: float,
    max_look_alike_bits: int,
    workers: Workers,
    partial_dir: Path,
) -> dict[str, int]:
    """Writes shards and their index (see `pennet.data.pictures.shards`) into `folder`, which appears whole or not at all.

    Beside them: `rejected.csv` (key, reason), `left_out.csv` (key, like, distance, reason), `digests.json` (of each split:
    the sha256 of its pictures' shapes and pixels in order), `card.json`, and the source's notices.

    Args:
        data_set: what the source was read as.
        source: the pictures.
        split: which of them go where; those in no split are passed over.
        folder: to write; what was there is replaced.
        size_px: side of the prepared pictures; smaller ones are rejected.
        resize_filter: for pictures of another size.
        shard_bytes: a shard ends before it would be larger.
        max_rejected_ratio: share of the pictures that may be rejected, in [0, 1).
        max_look_alike_bits: pictures whose fingerprints differ in at most so many of 64 bits are look-alikes.
        workers: who decodes.
        partial_dir: keeps what is done if the preparation ends early, and is removed in the end. It grows as large as
            `folder`. No output of a DVC stage: DVC removes those before it starts one.

    Returns:
        How many pictures each split has.

    Raises:
        UserError: too many rejected pictures, with the first of them; a split of which nothing is left; a full disk, a
            damaged source, or workers that were killed. What was done is kept. Or another process that prepares the same.
    """
    require("data", "pyarrow")
    lock = partial_dir.with_name(f"{partial_dir.name}.lock")
    lock.parent.mkdir(parents=True, exist_ok=True)
    work = partial(_look_at, size_px=size_px, resample=resize_filter)
    try:
        with alone(lock, lambda holder: _busy(folder, holder, lock)):
            parts = Parts(partial_dir, {"size_px": size_px, "resize_filter": resize_filter, "pillow": pillow_version})
            while not _fill(parts, source, split, work, workers):  # the source is another one than that of the parts
                pass
            rows = parts.rows()
            rejected = rows.filter(rows["rejected"].is_valid()).select(["key", "rejected"]).to_pylist()
            problems = [(row["key"], row["rejected"]) for row in rejected]
            _check_rejected(problems, len(rows), max_rejected_ratio, partial_dir / REJECTED)
            chosen = choose(rows.filter(rows["rejected"].is_null()), split, max_look_alike_bits)
            with replacing_folder(folder) as fresh:
                write_shards(chosen, parts, fresh, shard_bytes)
                _write_records(chosen, problems, split, fresh)
                write_json(fresh / DIGESTS, digests(chosen))
                card = _card(data_set, source, split, chosen, len(problems))
                asked = {"size_px": size_px, "resize_filter": resize_filter, "max_look_alike_bits": max_look_alike_bits}
                write_json(fresh / CARD, card | asked)
                for name, notice in source.notices.items():
                    (fresh / name).write_bytes(notice)
            (partial_dir / REJECTED).unlink(missing_ok=True)
            parts.remove()
            return chosen.counts()
    except BrokenProcessPool as error:
        remedy = "give fewer workers if the memory was full, and start again: what was done is kept"
        raise UserError(f"{folder}: one of {workers.number} workers was killed; {remedy}") from error
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        where = error.filename or f"{partial_dir} or {folder}"
        raise UserError(f"{where}: the disk is full; make room and start again: what was done is kept") from error


def _busy(folder: Path, holder: str, lock: Path) -> UserError:
    return UserError(f"{folder}: process {holder} is preparing it ({lock}); wait until it has ended, or end it")


def _fill(parts: Parts, source: Source, split: Split, work: Callable[[list[Item]], list[Looked]], workers: Workers) -> bool:
    """Stores the pictures that the parts lack; False if those that they have are no longer the source's."""
    items = (item for item in source.items() if item.key in split.of)
    with tqdm(total=len(split.of), desc="prepare", unit="image") as progress:
        skipped = parts.skip(items)
        if skipped is None:
            return False
        progress.update(skipped)
        for batch in in_order(workers, work, _batches(items)):
            for key, group, source_sha256, outcome in batch:
                parts.add(key, group, source_sha256, outcome)
            progress.update(len(batch))
        parts.finish()
    return True


def _batches(items: Iterable[Item]) -> Iterator[list[Item]]:
    batch, size = [], 0
    for item in items:
        batch.append(item)
        size += len(item.content)
        if len(batch) == _BATCH_PICTURES or size >= _BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _look_at(batch: list[Item], size_px: int, resample: Resample) -> list[Looked]:
    """What a worker does; what it gives back holds no source picture, which may be large."""
    return [
        (item.key, item.group, hashlib.sha256(item.content).digest(), _outcome(item, size_px, resample)) for item in batch
    ]


def _outcome(item: Item, size_px: int, resample: Resample) -> Stored | str:
    """The picture to store, or why there is none."""
    try:
        return store(item.content, item.key, size_px, resample)
    except UserError as error:
        return str(error).removeprefix(f"{item.key}: ")


def _check_rejected(problems: Sequence[tuple[str, str]], num_pictures: int, max_ratio: float, listed_in: Path) -> None:
    """Raises UserError where too many pictures cannot be used; all of them are then listed in a file."""
    if not problems or len(problems) / num_pictures <= max_ratio:  # 29 / 50 is 0.58, but 0.58 * 50 is less than 29
        return
    _write_csv(listed_in, ("key", "reason"), problems)
    shown = "".join(f"\n  - {key}: {reason}" for key, reason in problems[:_SHOWN])
    more = f"\n  and {len(problems) - _SHOWN:,} more" if len(problems) > _SHOWN else ""
    counted = f"{len(problems):,} of {num_pictures:,} pictures cannot be used, more than max_rejected_ratio {max_ratio:g}"
    remedy = f"repair or remove them, or allow a larger share; all are listed in {listed_in}"
    raise UserError(f"{counted}; {remedy}:{shown}{more}")


def _write_records(chosen: Chosen, problems: Sequence[tuple[str, str]], split: Split, folder: Path) -> None:
    """Writes what is not in the shards, and why."""
    reason = "its group has pictures in a split that comes first: test, then validation"
    of_groups = [(key, "", "", reason) for key in split.left_out]
    _write_csv(folder / REJECTED, ("key", "reason"), problems)
    _write_csv(folder / LEFT_OUT, ("key", "like", "distance", "reason"), [*chosen.left_out, *of_groups])


def _write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    write_text(path, text.getvalue())


def _card(data_set: DataSet, source: Source, split: Split, chosen: Chosen, num_rejected: int) -> dict[str, Any]:
    no_pictures = {"no_pictures": source.left_out} if source.left_out else {}
    return no_pictures | {
        "data_set": data_set.name,
        "title": data_set.title,
        "homepage": data_set.homepage,
        "licence": data_set.licence,
        "citation": data_set.citation,
        "split_origin": split.origin,
        "num_images": chosen.counts(),
        "num_rejected": num_rejected,
        "num_left_out": len(chosen.left_out) + len(split.left_out),
        "num_alike_within": chosen.num_alike_within,
    }
