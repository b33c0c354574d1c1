"""Times training steps of the quick profile: one process with two threads against two processes (gloo) with one each.

`python -m benchmarks.processes [--method pennet]`: the two take turns; the median step of each turn.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist

from pennet.methods import build_recipe
from pennet.seeding import seed_everything
from pennet.training import processes
from pennet.training.allocator import keep_freed_memory
from pennet.training.dataset import InpaintingDataset, StepSampler, batches
from pipelines.params import load_params

WARM_UP_STEPS, STEPS = 3, 12


def time_steps(method: str, num_threads: int) -> float:
    """The median seconds of a step in this process, its data included."""
    config, cpu = load_params(), torch.device("cpu")
    keep_freed_memory()
    torch.set_num_threads(num_threads)
    seed_everything(0)
    side = config.prepare.image_size_px
    learner = build_recipe(config.recipes[method], side, STEPS, cpu, False)
    pictures = np.random.default_rng(0).integers(0, 256, (64, side, side, 3), dtype=np.uint8)
    images = InpaintingDataset(pictures, 0, True, True, 0.05, learner.training_mask)
    batch_size = config.train.batch_size * learner.batches_per_step
    times = []
    loaded = batches(images, StepSampler(len(images), batch_size, 0, 0, WARM_UP_STEPS + STEPS), 0, cpu)
    started = time.perf_counter()
    for batch in loaded:
        learner.update(batch)
        times.append(time.perf_counter() - started)
        started = time.perf_counter()
    return statistics.median(times[WARM_UP_STEPS:])


def run(method: str, num_processes: int) -> float:
    """The first process's median, of so many that share two threads."""
    with tempfile.TemporaryDirectory() as folder:
        meeting = (Path(folder) / "meeting").as_uri()
        words = [sys.executable, "-m", "benchmarks.processes", "--method", method, "--meeting", meeting]
        each = [
            subprocess.Popen(
                [*words, "--rank", str(rank), "--processes", str(num_processes)], stdout=subprocess.PIPE, text=True
            )
            for rank in range(num_processes)
        ]
        outputs = [process.communicate()[0] for process in each]
    return float(outputs[0].split()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--method", default="pennet", help="a recipe of params.yaml")
    parser.add_argument("--turns", type=int, default=3)
    for name in ("--meeting", "--rank", "--processes"):  # of a process that this one starts
        parser.add_argument(name, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.meeting:
        number = int(arguments.processes)
        dist.init_process_group("gloo", init_method=arguments.meeting, rank=int(arguments.rank), world_size=number)
        seconds = time_steps(arguments.method, 2 // number)
        if processes.is_first():
            print(seconds)
        dist.destroy_process_group()
        return
    print(f"{arguments.method}, 1 process of 2 threads and 2 processes of 1 thread, seconds a step")
    for _ in range(arguments.turns):
        one, two = run(arguments.method, 1), run(arguments.method, 2)
        print(f"{one:.3f} {two:.3f} ratio {one / two:.2f}", flush=True)


if __name__ == "__main__":
    main()
