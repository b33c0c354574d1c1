"""Stage `masks`: the fixed test masks, the same for every method."""

from __future__ import annotations

import hashlib

from pennet.config import MasksConfig
from pipelines import layout
from pipelines.params import stage_main


def run(dataset: str, *, masks: MasksConfig) -> None:
    """Writes `test.npy` and `manifest.csv`: one mask for each test image, in their order."""
    import numpy as np
    import pandas as pd

    from pennet.atomic import replacing_folder
    from pennet.masks import numbered_mask
    from pipelines.prepared import names, prepared_pictures

    pictures = prepared_pictures(dataset, "test")
    height, width = pictures[0].shape[:2]
    test_masks = np.stack([numbered_mask(masks.protocol, masks.seed, i, height, width) for i in range(len(pictures))])

    manifest = pd.DataFrame(
        {
            "name": names(pictures.keys()),
            "hole_ratio": test_masks.mean(axis=(1, 2)),
            "sha256": [hashlib.sha256(mask.tobytes()).hexdigest() for mask in test_masks],
        }
    )
    with replacing_folder(layout.masks_dir(dataset)) as fresh:
        np.save(fresh / "test.npy", test_masks)
        manifest.to_csv(fresh / "manifest.csv", index=False)


if __name__ == "__main__":
    stage_main(run)
