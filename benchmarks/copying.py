"""Which patches, temperature and overlap should the shipped model copy with? Asked of validation photos, before training.

    python -m benchmarks.copying data/embedded/photos-256.zip "softmax_scale=1000 middle_weight=2" "patch_sizes=7,5" ...

Each argument names what differs from the recipe of the shipped model (keys of `recipes.pennet`). That recipe is the first
row, untrained, as it is before its first step: what it then shows is what attention transfer copies. Below are the shipped
model itself, trained, and PatchMatch and Telea. All see the photos and holes of `benchmarks.shipped`, whole.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch

from benchmarks.shipped import METRICS, SECONDS, SIZES, WEIGHTS, Fill, cases, digits, measured, table
from pennet.classical import fill
from pennet.config import recipe_from_mapping
from pennet.errors import UserError
from pennet.generator_files import CONFIG_FILE, load_generator
from pennet.inference import inpaint
from pennet.methods import build_recipe
from pennet.metrics.image_scores import Measure
from pennet.seeding import seed_everything
from pipelines.params import parse_yaml

SEED = 2019


def untrained(recipe: Path, changes: str, side_px: int) -> torch.nn.Module:
    """The generator of a recipe with some changes, `key=value` each, before its first step."""
    values = json.loads((recipe / CONFIG_FILE).read_text())
    for change in changes.split():
        key, _, value = change.partition("=")
        values[key] = parse_yaml(f"[{value}]" if "," in value else value, change)
    seed_everything(SEED)
    return build_recipe(recipe_from_mapping(values, changes), side_px, 1, torch.device("cpu"), False).generator.eval()


def contenders(recipe: Path, variants: Sequence[str], side_px: int) -> dict[str, Fill]:
    fills: dict[str, Fill] = {
        changes or "the recipe": partial(inpaint, untrained(recipe, changes, side_px)) for changes in ("", *variants)
    }
    trained: dict[str, Fill] = {"the recipe, trained": partial(inpaint, load_generator(recipe))}
    return fills | trained | {name: partial(fill, name) for name in ("patchmatch", "telea")}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("photos", type=Path, help="a folder, or an archive of `pennet pack`, whose validation photos count")
    parser.add_argument("variants", nargs="*", help='"key=value key=value"')
    parser.add_argument("--recipe", type=Path, default=WEIGHTS, help="folder of a trained generator")
    parser.add_argument("--size", choices=SIZES[:2], default="128")
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_intermixed_args()
    try:
        torch.set_num_threads(arguments.threads)
        fills = contenders(arguments.recipe, arguments.variants, int(arguments.size))
        made = cases([arguments.photos], [arguments.size])
        measures = [Measure(m, m.load(m.variant, torch.device("cpu")) if m.load else None) for m in METRICS]
        rows = measured(fills, made, measures)
    except (UserError, OSError) as error:
        sys.exit(f"copying: {error}")
    keys = [m.key for m in METRICS] + [SECONDS]
    print("\n".join(table(("recipe",), keys)))
    for name in fills:
        means = (float(np.nanmean([row[name][key] for row in rows])) for key in keys)
        print(f"| {name} | {' | '.join(digits(key, mean) for key, mean in zip(keys, means, strict=True))} |")


if __name__ == "__main__":
    main()
