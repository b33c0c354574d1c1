"""The test split, and the lossless pictures of the inpaint stages: `prediction/NAME.png` and `composite/NAME.png`.

Of a method that copies pixels also where the few pictures of the showcase got them: `sources/NAME.npy`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pennet.errors import UserError
from pipelines import layout
from pipelines.prepared import names, prepared_pictures

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from pennet.data.images import Picture


def test_set(dataset: str) -> tuple[list[str], Sequence[Picture], NDArray[np.uint8]]:
    """Names, images (S, S, 3) and masks (S, S; 1 = hole) of the test split, read when they are asked for."""
    import numpy as np

    images = prepared_pictures(dataset, "test")
    masks = np.load(layout.masks_dir(dataset) / "test.npy", mmap_mode="r")
    if len(images) != len(masks):
        raise UserError(f"{dataset}: {len(images)} test images, {len(masks)} masks; repeat stage masks")
    return names(images.keys()), images, masks


def write_outputs(
    folder: Path, predictions: Iterator[tuple[str, Any, Any, Any]], sources: Iterable[tuple[str, Any]] = ()
) -> None:
    """Saves each (name, image, mask, prediction) as a prediction and a composite, and each (name, sources) as an array.

    The folder appears whole.
    """
    import numpy as np

    from pennet.atomic import replacing_folder
    from pennet.data.picture_files import save_png

    with replacing_folder(folder) as fresh:
        for name, image, mask, prediction in predictions:
            save_png(fresh / "prediction" / f"{name}.png", prediction)
            save_png(fresh / "composite" / f"{name}.png", np.where(mask[..., None] > 0, prediction, image))
        for name, places in sources:
            path = fresh / layout.SOURCES / f"{name}.npy"
            path.parent.mkdir(parents=True, exist_ok=True)  # names may hold folders
            np.save(path, places.astype(np.int16))
