"""The test split, and the lossless pictures of the inpaint stages: `prediction/NAME.png` and `composite/NAME.png`.

Of a method that copies pixels also where the few pictures of the showcase got them: `sources/NAME.npy`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pennet.errors import UserError
from pipelines import layout

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray


def read_prepared_manifest(dataset: str) -> pd.DataFrame:
    """`manifest.csv` of the prepared data, every name as it is written: `007`, `NA` and `null` are names too."""
    import pandas as pd

    return pd.read_csv(layout.prepared_dir(dataset) / "manifest.csv", dtype={"name": str}, keep_default_na=False)


def test_names(dataset: str) -> list[str]:
    """Names of the test images, in the order of `test.npy`."""
    manifest = read_prepared_manifest(dataset)
    return manifest[manifest["split"] == "test"].sort_values("index")["name"].tolist()


def test_set(dataset: str) -> tuple[list[str], NDArray[np.uint8], NDArray[np.uint8]]:
    """Names, images (N, S, S, 3) and masks (N, S, S; 1 = hole) of the test split, memory-mapped."""
    import numpy as np

    names = test_names(dataset)
    images = np.load(layout.prepared_dir(dataset) / "test.npy", mmap_mode="r")
    masks = np.load(layout.masks_dir(dataset) / "test.npy", mmap_mode="r")
    if not len(names) == len(images) == len(masks):
        raise UserError(
            f"{dataset}: {len(names)} test names, {len(images)} images, {len(masks)} masks; repeat prepare, masks"
        )
    return names, images, masks


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
