"""Times making a batch against the training step that takes it: how long a model would wait for its data.

    python -m benchmarks.data_wait [--profile paper] [--batch-size 4] [--steps 3] [--method pennet]

Pictures are made-up JPEGs of 256 px, prepared at the profile's size: their own bytes at 256 px, PNGs at others. A batch is
read from shards, decoded, augmented and masked by this process, as without loader processes; CPU time, medians, one thread.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

import torch

from benchmarks.prepared_data import prepare_in, write_source
from pennet.config import Config, config_from_mapping
from pennet.data.pictures.shards import Shards
from pennet.methods import build_recipe
from pennet.seeding import seed_everything
from pennet.training.allocator import keep_freed_memory
from pennet.training.dataset import InpaintingDataset, StepSampler, batches
from pipelines.params import load_params
from pipelines.profile import committed_params, resolved

PICTURES, SOURCE_PX = 400, 256
BATCHES = 20


def cpu_seconds(work: Iterable[object]) -> float:
    """The median item's, without the first, which starts what is started once."""
    times, started = [], time.process_time()
    for _ in work:
        times.append(time.process_time() - started)
        started = time.process_time()
    return statistics.median(times[1:])


def main() -> None:
    parser = argparse.ArgumentParser(description="Times making a batch against the training step that takes it.")
    parser.add_argument("--profile", help="a file of profiles/, without .yaml; without it params.yaml as it is")
    parser.add_argument("--method", default="pennet", help="a recipe")
    parser.add_argument("--batch-size", type=int, help="other than the profile's: both times grow with it alike")
    parser.add_argument("--steps", type=int, default=3)
    arguments = parser.parse_args()
    name = arguments.profile
    config = config_from_mapping(Config, resolved(name, committed_params()), name) if name else load_params()
    cpu, side, batch_size = (
        torch.device("cpu"),
        config.prepare.image_size_px,
        arguments.batch_size or config.train.batch_size,
    )
    torch.set_num_threads(1)
    keep_freed_memory()
    seed_everything(0)
    learner = build_recipe(config.recipes[arguments.method], side, arguments.steps + 1, cpu, False)
    train, size = config.train, batch_size * learner.batches_per_step
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        write_source(folder / "pictures.tar", PICTURES, SOURCE_PX, alike=False)
        prepare_in(folder, folder / "pictures.tar", side, 2)
        pictures = Shards(folder / "prepared", "train")
        images = InpaintingDataset(pictures, 0, train.flip, train.quarter_turns, train.colour_jitter, learner.training_mask)
        made = cpu_seconds(batches(images, StepSampler(len(images), size, 0, 0, BATCHES), 0, cpu))
        taken = [next(batches(images, StepSampler(len(images), size, 0, 0, 1), 0, cpu))] * (arguments.steps + 1)
        step = cpu_seconds(learner.update(batch) for batch in taken)
    print(f"{arguments.method}, {size} pictures of {side} px: batch {1e3 * made:.1f} ms ({1e3 * made / size:.2f} a picture)")
    print(f"step {step:.2f} s; the batch takes {made / (made + step):.1%} of both")


if __name__ == "__main__":
    main()
