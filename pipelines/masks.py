"""Stage `masks`: the fixed test masks, the same for every method."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from pennet.config import MasksConfig
from pennet.config.sections import MaskFilesConfig
from pennet.errors import UserError
from pipelines import layout
from pipelines.params import stage_main

if TYPE_CHECKING:
    from pennet.mask_sets.store import Entry
    from pennet.masks.mask import Mask


def run(dataset: str, *, masks: MasksConfig) -> None:
    """Writes a mask for each protocol and test image; mask number i of a protocol depends on no other."""
    from pennet.mask_sets.store import Entry, write_masks
    from pipelines.prepared import names, prepared_pictures

    pictures = prepared_pictures(dataset, "test")
    side_px = pictures[0].shape[0]

    def entries() -> Iterator[Entry]:
        for protocol in masks.protocols:
            numbered = numbered_masks(protocol, masks, side_px)
            for i, name in enumerate(names(pictures.keys())):
                yield Entry(name, protocol, numbered(i), masks.seed)

    write_masks(layout.masks_dir(dataset), entries())


def numbered_masks(protocol: str, masks: MasksConfig, side_px: int) -> Callable[[int], Mask]:
    """What gives mask number i of a protocol, of any number of pictures.

    Raises:
        UserError: the protocol's mask files cannot be used, or are not those of the checksum.
    """
    from pennet.mask_sets.files import mask_files
    from pennet.masks import numbered_mask

    if protocol not in masks.files:
        return partial(numbered_mask, protocol, masks.seed, height=side_px, width=side_px)
    own = masks.files[protocol]
    try:
        _check_sha256(own)
        return mask_files(Path(own.archive), own.hole, side_px, masks.seed, own.under).numbered
    except UserError as error:
        raise UserError(f"masks.files.{protocol}: {error}") from error


def _check_sha256(own: MaskFilesConfig) -> None:
    """DVC watches no archive, which may be large: what it watches is its checksum in `params.yaml`."""
    from pennet.mask_sets.files import digest

    found = digest(Path(own.archive), own.under)
    if found != own.sha256:
        expected = f"expected {own.sha256}; bring those masks back, or" if own.sha256 else "not yet declared;"
        raise UserError(f"{own.archive}: its sha256 is {found}, {expected} put it into masks.files if you mean these masks")


if __name__ == "__main__":
    stage_main(run)
