"""How many patches does the attention of a trained PEN-Net mix, at each level?

`python -m benchmarks.attention_entropy models/terrain/pennet/seed-2019 --dataset terrain`

Prints the mean over the test images' hole patches of exp(entropy) of the softmax: 1 copies one patch, the number of known
patches is a plain average of all of them. `paper` mode only. A level at which no picture has a valid patch is not listed.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from unittest.mock import patch

import numpy as np
import torch
from torch import Tensor

from pennet.generator_files import load_generator
from pennet.images import to_float
from pennet.inference import predict
from pennet.models import attention
from pennet.models.pennet import PENNet
from pipelines.outputs import protocols, test_set


def mixed_patches(generator: PENNet, images: np.ndarray, masks: np.ndarray) -> list[tuple[float, float]]:
    """From the deepest attention to the shallowest: (patches that are mixed, patches that could be), means over queries.

    Args:
        generator: in `paper` mode.
        images: (N, S, S, 3) uint8.
        masks: (N, S, S) uint8, 1 = hole.
    """
    attend = attention._attend
    calls: list[tuple[Tensor, int]] = []

    def watched(queries: Tensor, keys: Tensor, bias: Tensor, values: Tensor) -> Tensor:
        weights = torch.softmax(torch.baddbmm(bias, queries, keys.transpose(1, 2)), dim=2)
        entropy = -(weights * weights.clamp_min(1e-30).log()).sum(dim=2)
        calls.append((entropy.exp().flatten(), keys.shape[1]))
        return attend(queries, keys, bias, values)

    pictures = []
    with patch.object(attention, "_attend", watched):
        for image, mask in zip(images, masks, strict=True):  # one by one: then no row is filled up to another's length
            calls.clear()
            predict(generator, to_float(image[None]), torch.from_numpy(mask[None, None].astype(np.float32)))
            pictures.append(calls[::-1])
    # Counted from the shallowest: where nothing may be copied there is no call, and the deepest maps starve first.
    levels = [[calls[i] for calls in pictures if len(calls) > i] for i in range(max(map(len, pictures)))]
    return [
        (float(torch.cat([mixed for mixed, _ in level]).mean()), float(np.mean([known for _, known in level])))
        for level in reversed(levels)
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
