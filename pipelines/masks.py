"""Stage `masks`: the fixed test masks of every protocol, the same for every method."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from pennet.config import MasksConfig
from pipelines.params import stage_main

if TYPE_CHECKING:
    from pennet.masks.mask import Mask


def run(dataset: str, *, masks: MasksConfig) -> None:
    """Writes a mask for each protocol and test image; mask number i of a protocol depends on no other."""
    from pennet.masks import numbered_mask
    from pipelines.outputs import test_images, test_names, write_masks

    names = test_names(dataset)
    height, width = test_images(dataset)[0].shape[:2]

    def drawn(protocol: str) -> Iterator[Mask]:
        for i in range(len(names)):
            yield numbered_mask(protocol, masks.seed, i, height, width)

    write_masks(dataset, names, {protocol: drawn(protocol) for protocol in masks.protocols})


if __name__ == "__main__":
    stage_main(run)
