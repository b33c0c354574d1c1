"""The test split, and the lossless pictures of the inpaint stages: `prediction/NAME.png` and `composite/NAME.png`."""

from __future__ import annotations

from collections.abc import Iterator
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


def write_outputs(folder: Path, predictions: Iterator[tuple[str, Any, Any, Any]]) -> None:
    """Saves each (name, image, mask, prediction) as a prediction and a composite; the folder appears whole."""
    import numpy as np

    from pennet.atomic import replacing_folder
    from pennet.data.picture_files import save_png

    with replacing_folder(folder) as fresh:
        for name, image, mask, prediction in predictions:
            save_png(fresh / "prediction" / f"{name}.png", prediction)
            save_png(fresh / "composite" / f"{name}.png", np.where(mask[..., None] > 0, prediction, image))
