"""Stage `inpaint-classical`: fills the holes of the test images with a method that needs no training, for each protocol."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pipelines import layout
from pipelines.outputs import protocols, test_set, write_outputs
from pipelines.params import stage_main


def run(dataset: str, method: str) -> None:
    """Writes the prediction and the composite of each test image of `dataset`, by the classical `method`."""
    import numpy as np

    from pennet.classical import fill

    def predictions(protocol: str) -> Iterator[tuple[str, Any, Any, Any]]:
        names, images, masks = test_set(dataset, protocol)
        for i, name in enumerate(names):
            image, mask = np.array(images[i]), np.array(masks[i])
            yield name, image, mask, fill(method, image, mask)

    filled = {protocol: (predictions(protocol), ()) for protocol in protocols(dataset)}
    write_outputs(layout.outputs_dir(dataset, method, None), filled)


if __name__ == "__main__":
    stage_main(run)
