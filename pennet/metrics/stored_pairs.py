"""Pairs of prepared test pictures and what a method made of them."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np

from pennet.data.pictures.picture_files import Picture, read_rgb
from pennet.data.pictures.shards import Shards
from pennet.errors import UserError
from pennet.mask_sets.store import StoredMasks
from pennet.metrics.pairs import Pairs


def stored_pairs(prepared: Path, masks: Path, protocol: str, composites: Path) -> Pairs:
    """The test pictures, the masks of a protocol and the composites, read when they are asked for.

    They are opened in another process by their folders, which must be there under the same paths.

    Args:
        prepared: folder of the shards.
        masks: folder of the stored masks, which are of these pictures.
        protocol: of the masks.
        composites: folder of NAME.png, by the names that the masks are stored under.

    Raises:
        UserError: a folder is not what it should be; and when pictures are read, a composite of another size than its truth.
    """
    images, stored = Shards(prepared, "test"), StoredMasks(masks)
    names, holes = stored.names(protocol), stored.of(protocol)

    def composite(i: int) -> Picture:
        path = composites / f"{names[i]}.png"
        picture = read_rgb(path)
        if picture.shape != images[i].shape:
            shapes = f"has shape {picture.shape}, the image {images[i].shape}"
            raise UserError(f"{path}: {shapes}; run inpaint again")
        return picture

    return Pairs(
        names,
        fake=composite,
        real=lambda i: np.asarray(images[i]),
        mask=lambda i: np.asarray(holes[i]),
        reopen=partial(stored_pairs, prepared.absolute(), masks.absolute(), protocol, composites.absolute()),
    )
