"""Stage `prepare`: decodes every picture of a data set, and writes its splits at one size."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from pennet.config import PrepareConfig, RuntimeConfig, SourceConfig
from pennet.errors import UserError
from pipelines import layout
from pipelines.params import stage_main

if TYPE_CHECKING:
    from pennet.data.sources.obtain import Obtained

CONTACT_SHEET_COLUMNS = 8


def run(dataset: str, *, source: SourceConfig, prepare: PrepareConfig, runtime: RuntimeConfig) -> None:
    """Writes the shards of `dataset`, their index, what was left out, licences, and contact sheets."""
    from dataclasses import replace
    from pathlib import Path

    from pennet.data.pictures.picture_files import save_png
    from pennet.data.pictures.shards import SPLITS, Shards
    from pennet.data.preparing.prepare import prepare as write_prepared
    from pennet.data.sets import find
    from pennet.data.sets.splits import assign, with_fewer_test_images
    from pennet.data.sources.obtain import check_unchanged
    from pennet.pictures import contact_sheet
    from pipelines.workers import workers

    obtained = read_receipt(dataset)
    check_unchanged(obtained, f"take it in again: dvc repro --force download@{dataset}")
    data_set = find(source.data_set)
    pictures = data_set.read([Path(archive.path) for archive in obtained.archives])
    split = assign(
        data_set,
        pictures,
        Path(obtained.lists.path) if obtained.lists else None,
        seed=source.seed,
        test_ratio=source.test_ratio,
        val_ratio=source.val_ratio,
    )
    if obtained.no_lists:
        split = replace(split, origin=f"{split.origin}, because the paper's lists could not be had")
    split = with_fewer_test_images(split, prepare.test_images)
    folder = layout.prepared_dir(dataset)
    with workers(runtime) as who:
        counts = write_prepared(
            data_set,
            pictures,
            split,
            folder,
            size_px=prepare.image_size_px,
            resize_filter=prepare.resize_filter,
            shard_bytes=prepare.shard_mb * 1_000_000,
            max_rejected_ratio=prepare.max_rejected_ratio,
            max_look_alike_bits=prepare.max_look_alike_bits,
            workers=who,
            partial_dir=layout.preparing_dir(dataset),
        )
    for name in SPLITS:
        shards = Shards(folder, name)
        sample = [shards[i] for i in range(min(len(shards), prepare.contact_sheet_images))]
        if sample:
            save_png(layout.contact_sheet_dir(dataset) / f"{name}.png", contact_sheet(sample, CONTACT_SHEET_COLUMNS))
    counted = ", ".join(f"{counts[name]:,} {name}" for name in SPLITS)
    if pictures.left_out:
        print(f"{dataset}: no pictures, and left out: {pictures.left_out}")
    print(f"{dataset}: {counted} pictures of {prepare.image_size_px} px; split: {split.origin}")


def read_receipt(dataset: str) -> Obtained:
    """What stage `download` has noted.

    Raises:
        UserError: it has not, or not as this version does.
    """
    from pennet.data.sources.obtain import Arrived, Obtained

    path, remedy = layout.receipt_path(dataset), f"run `dvc repro --force download@{dataset}`"
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        archives = [Arrived(**archive) for archive in values.pop("archives")]
        lists = values.pop("lists")
        return Obtained(archives=archives, lists=Arrived(**lists) if lists else None, **values)
    except FileNotFoundError as error:
        raise UserError(f"{path} is missing; {remedy}") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{path} is no receipt of a download ({error!r}); {remedy}") from error


if __name__ == "__main__":
    stage_main(run)
