"""A training that `test_processes.py` starts alone, and twice at once: `python -m MODULE FOLDER RANK JOB ...`.

In double precision, so that rounding cannot hide a mistake. A job is NAME:METHOD:UNTIL; its checkpoints are in
FOLDER/NAME/METHOD as those of any training; what it logged, its weights and its random state in FOLDER/NAME-METHOD-RANK.pt.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist
from torch import nn

from pennet.config import MethodConfig
from pennet.methods import build_recipe
from pennet.recipes.updates import ScheduledOptimizer
from pennet.seeding import seed_everything
from pennet.training import loop
from pennet.training.dataset import Batch, InpaintingDataset, StepSampler, batches
from tests.configs import COPYING, small_ca, small_gntipt, small_recipe, small_train

CPU = torch.device("cpu")
SIDE_PX, SEED, STEPS, BATCH_SIZE = 48, 3, 4, 4
RECIPES: dict[str, MethodConfig] = {
    "pennet": small_recipe(**COPYING, training_mask="many_sizes", hole_cell_px=8),
    "nsgan": small_recipe(adversarial_loss="nsgan"),
    "ca": small_ca(discriminator_steps=2),
    "gntipt": small_gntipt(),
}
IMAGES = np.random.default_rng(0).integers(0, 256, (7, SIDE_PX, SIDE_PX, 3), dtype=np.uint8)


@contextmanager
def double_precision() -> Iterator[None]:
    """Networks of 64 bits, also where the code asks for 32; in one thread."""
    to_float, threads = torch.Tensor.float, torch.get_num_threads()
    torch.set_default_dtype(torch.float64)
    torch.set_num_threads(1)
    torch.Tensor.float = torch.Tensor.double  # type: ignore[method-assign]
    try:
        yield
    finally:
        torch.Tensor.float = to_float  # type: ignore[method-assign]
        torch.set_default_dtype(torch.float32)
        torch.set_num_threads(threads)


def train(method: str, folder: Path, until: int = STEPS) -> tuple[loop.TrainResult, loop.Recipe]:
    """Trains for `until` of `STEPS` steps, a checkpoint every second one; as one of a group if there is one."""
    with double_precision():
        seed_everything(SEED)
        learner = build_recipe(RECIPES[method], SIDE_PX, STEPS, CPU, False)
        images = InpaintingDataset(IMAGES, SEED, True, True, 0.1, learner.training_mask)

        def batches_from(step: int) -> Iterator[Batch]:
            sampler = StepSampler(len(images), BATCH_SIZE * learner.batches_per_step, SEED, step, until)
            loaded = batches(images, sampler, 0, CPU)  # at once: a loader that begins draws a random number
            return (Batch(batch.image.double(), batch.mask.double()) for batch in loaded)

        config = small_train(steps=STEPS, batch_size=BATCH_SIZE)
        return loop.train(learner, batches_from, config, {"of": "this test"}, folder, CPU, None), learner


def state_of(learner: loop.Recipe) -> dict[str, torch.Tensor]:
    """Every weight and buffer of every network, spectral norms' vectors included."""
    networks = {name: part for name, part in learner.parts().items() if isinstance(part, nn.Module)}
    return {f"{name}.{key}": value for name, part in networks.items() for key, value in part.state_dict().items()}


def record(learner: loop.Recipe, result: loop.TrainResult, path: Path) -> None:
    content = {"history": result.history, "weights": state_of(learner), "random": torch.get_rng_state()}
    torch.save(content | {"processes": result.processes}, path)


def spoilt_update(rank: int) -> str:
    """What an update says whose loss is not a number in the second process."""
    layer = nn.Linear(1, 1)
    optimizer = ScheduledOptimizer("generator", layer.parameters(), 0.1, (0.9, 0.9), [], 1.0)
    try:
        optimizer.update(layer(torch.full((1, 1), float("nan") if rank else 1.0)).sum())
    except FloatingPointError as error:
        return str(error)
    return "an update was made"


def main() -> None:
    folder, rank = Path(sys.argv[1]), int(sys.argv[2])
    dist.init_process_group("gloo", init_method=(folder / "meeting").as_uri(), rank=rank, world_size=2)
    for job in sys.argv[3:]:
        name, method, until = job.split(":")
        result, learner = train(method, folder / name / method, int(until))
        record(learner, result, folder / f"{name}-{method}-{rank}.pt")
    (folder / f"spoilt-{rank}").write_text(spoilt_update(rank))
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
