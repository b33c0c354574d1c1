"""The pictures of the inpaint stages: `prediction/NAME.png` and `composite/NAME.png`, lossless."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines import layout

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def test_set(dataset: str) -> tuple[list[str], NDArray[np.uint8], NDArray[np.uint8]]:
    """Names, images (N, S, S, 3) and masks (N, S, S; 1 = hole) of the test split, memory-mapped."""
    import numpy as np
    import pandas as pd

    manifest = pd.read_csv(layout.prepared_dir(dataset) / "manifest.csv", dtype={"name": str})
    names = manifest[manifest["split"] == "test"].sort_values("index")["name"].tolist()
    images = np.load(layout.prepared_dir(dataset) / "test.npy", mmap_mode="r")
    masks = np.load(layout.masks_dir(dataset) / "test.npy", mmap_mode="r")
    if not len(names) == len(images) == len(masks):
        raise ValueError(
            f"{dataset}: {len(names)} test names, {len(images)} images, {len(masks)} masks; repeat prepare, masks"
        )
    return names, images, masks


def write_outputs(folder: Path, predictions: Iterator[tuple[str, Any, Any, Any]]) -> None:
    """Saves each (name, image, mask, prediction) as a prediction and a composite; the folder appears whole."""
    import numpy as np

    from pennet.pictures import save_png

    fresh = folder.with_name(f".{folder.name}.new")
    shutil.rmtree(fresh, ignore_errors=True)
    for name, image, mask, prediction in predictions:
        save_png(fresh / "prediction" / f"{name}.png", prediction)
        save_png(fresh / "composite" / f"{name}.png", np.where(mask[..., None] > 0, prediction, image))
    shutil.rmtree(folder, ignore_errors=True)
    fresh.rename(folder)
