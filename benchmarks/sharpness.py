"""What does the attention's temperature do to the holes of PEN-Net, trained or not?

    python -m benchmarks.sharpness --recipe pennet --sharpness 10 30 100 1000
    python -m benchmarks.sharpness --model models/terrain/pennet/seed-2019

Prints L1 in the hole, PSNR and LPIPS of a data set's test pictures, means over them, for each softmax scale. With `--recipe`
the generator is that recipe of params.yaml as it is before its first step: what it shows then is what attention transfer
does without any training.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import nn

from pennet.errors import UserError
from pennet.generator_files import load_generator
from pennet.inference import inpaint
from pennet.methods import build_recipe
from pennet.metrics.image_scores import Measure, score_images
from pennet.metrics.lpips import LPIPS
from pennet.metrics.pairs import Pairs
from pennet.metrics.pixel import L1_HOLE, PSNR
from pennet.seeding import apply_runtime, seed_everything
from pipelines.outputs import protocols, test_set
from pipelines.params import load_params

METRICS = (L1_HOLE, PSNR, LPIPS.of("alex"))
SHARPNESS = (10.0, 30.0, 100.0, 300.0, 1000.0)
BATCH = 24


def untrained(recipe: str, side_px: int, seed: int = 2019) -> nn.Module:
    """The generator of a recipe of params.yaml before its first step, in eval mode.

    Raises:
        UserError: params.yaml has no such recipe.
    """
    config = load_params()
    if recipe not in config.recipes:
        raise UserError(f"params.yaml has no recipe {recipe!r}; it has {', '.join(config.recipes)}")
    seed_everything(seed)
    return build_recipe(config.recipes[recipe], side_px, 1, torch.device("cpu"), False).generator.eval()


def table(generator: nn.Module, images: np.ndarray, masks: np.ndarray, sharpness: Sequence[float]) -> list[list[float]]:
    """A row for each softmax scale: the scale, then the metrics' means.

    Args:
        generator: of a method with attention.
        images: (N, S, S, 3) uint8.
        masks: (N, S, S) uint8, 1 = hole.
        sharpness: the scales.
    """
    measures = [Measure(m, m.load(m.variant, torch.device("cpu")) if m.load else None) for m in METRICS]
    rows = []
    for scale in sharpness:
        fakes = [inpaint(generator, image, mask, scale) for image, mask in zip(images, masks, strict=True)]
        names = [str(i) for i in range(len(fakes))]
        scores = score_images(Pairs(names, fakes.__getitem__, images.__getitem__, masks.__getitem__), measures, BATCH)
        rows.append([scale, *(float(scores.values[m.key].mean()) for m in METRICS)])
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--model", type=Path, help="folder of a trained generator")
    what.add_argument("--recipe", help="recipe of params.yaml, untrained")
    parser.add_argument("--dataset", default="terrain")
    parser.add_argument("--sharpness", type=float, nargs="+", default=SHARPNESS)
    arguments = parser.parse_args()
    try:
        _, *pictures = test_set(arguments.dataset, protocols(arguments.dataset)[0])
        images, masks = (np.stack([part[i] for i in range(len(part))]) for part in pictures)
        apply_runtime(load_params().runtime)
        generator = load_generator(arguments.model) if arguments.model else untrained(arguments.recipe, images.shape[1])
        print("| softmax scale | " + " | ".join(m.key for m in METRICS) + " |\n| ---: | ---: | ---: | ---: |")
        for scale, *values in table(generator, images, masks, arguments.sharpness):
            print(f"| {scale:g} | " + " | ".join(f"{value:.4f}" for value in values) + " |")
    except (UserError, OSError) as error:
        sys.exit(f"sharpness: {error}")


if __name__ == "__main__":
    main()
