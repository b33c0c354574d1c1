"""Stage `inpaint-classical`: fills the holes of the test images with a method that needs no training."""

from __future__ import annotations

from pipelines import layout
from pipelines.outputs import test_set, write_outputs
from pipelines.params import stage_main


def run(dataset: str, method: str) -> None:
    """Writes the prediction and the composite of each test image of `dataset`, by the classical `method`."""
    import numpy as np

    from pennet.classical import fill

    names, images, masks = test_set(dataset)
    write_outputs(
        layout.outputs_dir(dataset, method, None),
        (
            (name, np.array(image), np.array(mask), fill(method, np.array(image), np.array(mask)))
            for name, image, mask in zip(names, images, masks, strict=True)
        ),
    )


if __name__ == "__main__":
    stage_main(run)
