"""From a wall time to a number of steps: a fair fight between methods whose steps take different times.

The pace is measured once, before the training, on networks that are thrown away; the number of steps then is part of the
training, so that an interrupted run goes on to the same end and a slow moment of the machine shortens nothing.
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from pennet.atomic import write_json
from pennet.errors import UserError

if TYPE_CHECKING:
    from pennet.training.dataset import Batch
    from pennet.training.loop import Recipe

WARM_UP_STEPS = 3
TIMED_STEPS = 12


def seconds_per_step(recipe: Recipe, batches: Iterator[Batch], device: torch.device) -> float:
    """The median time of a step, its data included. The recipe has learned from it: use another one to train.

    Args:
        recipe: the method, its networks on `device`.
        batches: at least `WARM_UP_STEPS + TIMED_STEPS` of them.
        device: where batches go.
    """
    times = []
    for _ in range(WARM_UP_STEPS + TIMED_STEPS):
        started = time.perf_counter()
        recipe.update(next(batches).to(device))  # ends with the losses on the host: nothing is left in a GPU's queue
        times.append(time.perf_counter() - started)
    return statistics.median(times[WARM_UP_STEPS:])


def steps_within(minutes: float, pace: float) -> int:
    """Whole steps of `pace` seconds in a wall time; at least one."""
    return max(1, int(minutes * 60 / pace))


def read_plan(path: Path) -> int | None:
    """The planned number of steps, or None where none was planned yet.

    Raises:
        UserError: the file is unreadable.
    """
    try:
        return int(json.loads(path.read_text())["steps"])
    except FileNotFoundError:
        return None
    except (json.JSONDecodeError, KeyError, TypeError, ValueError) as error:
        raise UserError(
            f"{path} holds no plan ({error!r}); remove it and the checkpoints beside it to start anew"
        ) from error


def write_plan(path: Path, steps: int, pace: float) -> None:
    write_json(path, {"steps": steps, "seconds_per_step": pace})
