"""The test split, its masks by protocol, and the lossless pictures of the inpaint stages.

Of each protocol these are `prediction/NAME.png` and `composite/NAME.png`; of a method that copies pixels also where the
few pictures of the showcase got them: `sources/NAME.npy`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from pennet.errors import UserError
from pipelines import layout
from pipelines.prepared import names, prepared_pictures

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from pennet.mask_sets.store import StoredMasks
    from pennet.masks.mask import Mask

Filled: TypeAlias = "Iterable[tuple[str, NDArray[np.uint8], Mask, NDArray[np.uint8]]]"
"""Of each picture the name, the image, the mask and the prediction."""
Sources: TypeAlias = Iterable[tuple[str, Any]]
"""Of some pictures the name and where each pixel came from."""


class TestSet(NamedTuple):
    """The test pictures under one protocol. Index images and masks one by one: they are read when they are asked for."""

    names: list[str]
    images: Sequence[NDArray[np.uint8]]
    """Each (S, S, 3)."""
    masks: Sequence[Mask]
    """Each (S, S), 1 = hole."""


def test_set(dataset: str, protocol: str) -> TestSet:
    """The test split with the masks of a protocol.

    Raises:
        UserError: the masks are of other pictures, or there are none of this protocol.
    """
    images, stored = prepared_pictures(dataset, "test"), _stored_masks(dataset)
    called = names(images.keys())
    if called != stored.names(protocol):
        raise UserError(f"{stored.folder}: the masks are of other pictures than {images.folder}; repeat stage masks")
    return TestSet(called, images, stored.of(protocol))


def protocols(dataset: str) -> list[str]:
    """The protocols that there are masks of, the headline first.

    Raises:
        UserError: there are none yet.
    """
    return list(_stored_masks(dataset).protocols)


def _stored_masks(dataset: str) -> StoredMasks:
    from pennet.mask_sets.store import StoredMasks

    return StoredMasks(layout.masks_dir(dataset))


def write_outputs(folder: Path, filled: Mapping[str, tuple[Filled, Sources]]) -> None:
    """Saves what a method painted: each picture as a prediction and a composite, each sources as an array.

    The folder appears whole.

    Args:
        folder: the method's own.
        filled: by protocol, the pictures and sources.
    """
    import numpy as np

    from pennet.atomic import replacing_folder
    from pennet.data.pictures.picture_files import save_png

    with replacing_folder(folder) as fresh:
        for protocol, (predictions, sources) in filled.items():
            for name, image, mask, prediction in predictions:
                save_png(fresh / protocol / "prediction" / f"{name}.png", prediction)
                painted = fresh / protocol / "composite" / f"{name}.png"
                save_png(painted, np.where(mask[..., None] > 0, prediction, image))
            for name, places in sources:
                path = fresh / protocol / layout.SOURCES / f"{name}.npy"
                path.parent.mkdir(parents=True, exist_ok=True)  # names may hold folders
                np.save(path, places.astype(np.int16))
