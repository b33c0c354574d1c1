"""Stage `masks`: the fixed test masks, the same for every method."""

from __future__ import annotations

import hashlib
import shutil

from pennet.config import MasksConfig
from pipelines import layout
from pipelines.params import stage_main


def run(dataset: str, *, masks: MasksConfig) -> None:
    """Writes `test.npy` and `manifest.csv`: one mask for each test image, in their order."""
    import numpy as np
    import pandas as pd

    from pennet.data.masks import centre_square, irregular

    manifest = pd.read_csv(layout.prepared_dir(dataset) / "manifest.csv", dtype={"name": str})
    names = manifest[manifest["split"] == "test"].sort_values("index")["name"].tolist()
    images = np.load(layout.prepared_dir(dataset) / "test.npy", mmap_mode="r")
    height, width = images.shape[1:3]
    if masks.protocol == "centre":
        test_masks = np.stack([centre_square(height, width)] * len(names))
    else:
        test_masks = np.stack([irregular(masks.seed, i, height, width) for i in range(len(names))])

    folder = layout.masks_dir(dataset)
    fresh = folder.with_name(f".{folder.name}.new")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    np.save(fresh / "test.npy", test_masks)
    pd.DataFrame(
        {
            "name": names,
            "hole_ratio": test_masks.mean(axis=(1, 2)),
            "sha256": [hashlib.sha256(mask.tobytes()).hexdigest() for mask in test_masks],
        }
    ).to_csv(fresh / "manifest.csv", index=False)
    shutil.rmtree(folder, ignore_errors=True)
    fresh.rename(folder)


if __name__ == "__main__":
    stage_main(run)
