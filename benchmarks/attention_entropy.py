"""How many patches does the attention of a trained PEN-Net mix, at each level?

`python -m benchmarks.attention_entropy models/terrain/pennet/seed-2019 --dataset terrain`

Prints the mean over the test images' hole patches of exp(entropy) of the softmax: 1 copies one patch, the number of known
patches is a plain average of all of them. `paper` mode only. A level at which no picture has a valid patch is not listed.
"""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from pennet.generator_files import load_generator
from pennet.images import to_float
from pennet.inference import predict
from pennet.models.pennet import PENNet
from pipelines.outputs import protocols, test_set


def mixed_patches(generator: PENNet, images: np.ndarray, masks: np.ndarray) -> list[tuple[float, float]]:
    """From the deepest attention to the shallowest: (patches that are mixed, patches that could be), means over queries.

    Args:
        generator: in `paper` mode.
        images: (N, S, S, 3) uint8.
        masks: (N, S, S) uint8, 1 = hole.
    """
    levels: list[list[tuple[Tensor, int]]] = [[] for _ in generator.transfers]

    def watched(depth: int, keys: Tensor, softmax_scale: float, queries: Tensor, scores: Tensor) -> Tensor:
        weights = torch.softmax(scores, dim=2)
        entropy = -(weights * weights.clamp_min(1e-30).log()).sum(dim=2)
        levels[depth].append((entropy.exp().flatten(), scores.shape[2]))
        return scores

    transfers = [(depth, transfer) for depth, transfer in enumerate(generator.transfers) if transfer is not None]
    for depth, transfer in transfers:
        transfer.revise = partial(watched, depth)  # type: ignore[assignment]
    try:
        for image, mask in zip(images, masks, strict=True):  # one by one: then no row is filled up to another's length
            predict(generator, to_float(image[None]), torch.from_numpy(mask[None, None].astype(np.float32)))
    finally:
        for _, transfer in transfers:
            transfer.revise = None  # type: ignore[assignment]
    return [
        (float(torch.cat([mixed for mixed, _ in level]).mean()), float(np.mean([known for _, known in level])))
        for level in levels
        if level
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("--dataset", default="terrain")
    arguments = parser.parse_args()
    generator = load_generator(arguments.model)
    assert isinstance(generator, PENNet), f"{arguments.model} is no PEN-Net"
    _, *pictures = test_set(arguments.dataset, protocols(arguments.dataset)[0])
    images, masks = (np.stack([part[i] for i in range(len(part))]) for part in pictures)
    for level, (mixed, known) in enumerate(mixed_patches(generator, images, masks)):
        print(f"attention {level + 1} from the deepest: mixes {mixed:.1f} of {known:.0f} patches")


if __name__ == "__main__":
    main()
