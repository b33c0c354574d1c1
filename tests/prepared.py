"""Prepared data and masks of a test's own pictures, as the stages leave them."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pennet.data.preparing.prepare import prepare
from pennet.data.sets.folder import FOLDER
from pennet.data.sets.spec import Place, Source
from pennet.data.sets.splits import Split
from pennet.in_order import ALONE
from pennet.mask_sets.store import Entry, write_masks
from pennet.masks.mask import Mask


def png(picture: NDArray[np.uint8]) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "PNG")
    return buffer.getvalue()


def write_prepared(folder: Path, **splits: Mapping[str, NDArray[np.uint8]]) -> None:
    """Writes pictures (S, S, 3) uint8 of one size, by split and key, in their order."""
    pictures = {key: picture for split in splits.values() for key, picture in split.items()}
    of = {key: name for name, split in splits.items() for key in split}
    places = {key: Place(key, key) for key in pictures}
    source = Source(places, lambda: ((key, png(picture)) for key, picture in pictures.items()))
    with tempfile.TemporaryDirectory() as partial:
        prepare(
            FOLDER,
            source,
            Split("made for a test", of, ()),
            folder,
            size_px=len(next(iter(pictures.values()))),
            resize_filter="bilinear",
            shard_bytes=1_000_000,
            max_rejected_ratio=0.0,
            max_look_alike_bits=0,
            workers=ALONE,
            partial_dir=Path(partial) / "parts",
        )


def write_test_masks(folder: Path, names: Sequence[str], **protocols: Sequence[Mask]) -> None:
    """Writes a mask (S, S) for each name and protocol."""
    write_masks(
        folder,
        [
            Entry(name, protocol, mask, 7)
            for protocol, masks in protocols.items()
            for name, mask in zip(names, masks, strict=True)
        ],
    )
