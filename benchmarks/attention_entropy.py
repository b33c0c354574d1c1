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

from pennet.data.images import to_float
from pennet.generator_files import load_generator
from pennet.inference import predict
from pennet.models import attention
from pennet.models.pennet import PENNet

BATCH = 24


def mixed_patches(generator: PENNet, images: np.ndarray, masks: np.ndarray) -> list[tuple[float, float]]:
    """From the deepest attention to the shallowest: (patches that are mixed, patches that could be), means over queries.

    Args:
        generator: in `paper` mode.
        images: (N, S, S, 3) uint8.
        masks: (N, S, S) uint8, 1 = hole.
    """
    plain = attention._attend
    calls: list[tuple[int, Tensor]] = []

    def watched(queries: Tensor, keys: Tensor, values: Tensor, softmax_scale: float, affinity: attention.Affinity) -> Tensor:
        # Values that are the unit vectors give the weights themselves back.
        weights = plain(queries, keys, torch.eye(len(keys)), softmax_scale, affinity)
        entropy = -(weights * weights.clamp_min(1e-30).log()).sum(dim=1)
        calls.append((len(keys), entropy.exp()))
        return plain(queries, keys, values, softmax_scale, affinity)

    levels: dict[int, list[tuple[int, Tensor]]] = {}
    with patch.object(attention, "_attend", watched):
        for start in range(0, len(images), BATCH):
            image = to_float(np.ascontiguousarray(images[start : start + BATCH]))
            mask = torch.from_numpy(masks[start : start + BATCH, None].astype(np.float32))
            calls.clear()
            predict(generator, image, mask)
            for i, call in enumerate(calls):  # level after level, sample after sample
                levels.setdefault(i // len(image), []).append(call)
    return [
        (float(torch.cat([mixed for _, mixed in of_level]).mean()), float(np.mean([known for known, _ in of_level])))
        for of_level in levels.values()
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("--dataset", default="terrain")
    arguments = parser.parse_args()
    generator = load_generator(arguments.model)
    assert isinstance(generator, PENNet), f"{arguments.model} is no PEN-Net"
    images = np.load(Path("data/prepared") / arguments.dataset / "test.npy")
    masks = np.load(Path("data/masks") / arguments.dataset / "test.npy")
    for level, (mixed, known) in enumerate(mixed_patches(generator, images, masks)):
        print(f"attention {level + 1} from the deepest: mixes {mixed:.1f} of {known:.0f} patches")


if __name__ == "__main__":
    main()
