"""The training loop that all learned methods share."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import nn
from tqdm import tqdm

from pennet.config import TrainConfig
from pennet.cost import peak_memory_mib
from pennet.errors import UserError
from pennet.masks.mask import DrawMask
from pennet.training import processes
from pennet.training.checkpoint import Identity, checkpoint_paths, load_checkpoint, save_checkpoint
from pennet.training.dataset import Batch
from pennet.training.ema import EMA


class Recipe(Protocol):
    """How one method learns: its networks, and one update of them."""

    @property
    def generator(self) -> nn.Module:
        """The network that paints."""

    @property
    def batches_per_step(self) -> int:
        """Batches in one step: 1, or more where discriminators take steps of their own."""

    @property
    def training_mask(self) -> DrawMask:
        """Draws the method's training masks: (generator, height, width) -> mask."""

    def update(self, batch: Batch) -> dict[str, float]:
        """Makes one generator update and whatever discriminator updates belong to it; returns the losses by name.

        Where several processes share the training, each calls this with its part, and all make the same update.

        Args:
            batch: `batches_per_step` batches, one after the other, or this process's part of each.

        Raises:
            FloatingPointError: a loss is NaN or infinite; the weights are unchanged by it.
        """

    def parts(self) -> dict[str, Any]:
        """Networks, optimisers and schedules: all with a state that a checkpoint must hold."""


class Observer(Protocol):
    """Who watches the training; must not change it."""

    def metrics(self, step: int, values: dict[str, float]) -> None: ...

    def samples(self, step: int, generator: nn.Module) -> None:
        """Args: the moving average of the generator, in eval mode."""


@dataclass(frozen=True)
class TrainResult:
    generator: nn.Module
    """The weights to use: the moving average, or the last ones without averaging."""
    history: list[dict[str, float]]
    """One row per logged step: `step` and every loss."""
    resumed_from_step: int
    seconds: float
    """Wall time of all steps that led here: what an interruption lost after its last checkpoint is not counted."""
    peak_memory_mib: float
    """See `Timing`; the highest of all parts of an interrupted run."""
    processes: list[int]
    """How many processes shared the training, in order, where parts of an interrupted run had other numbers of them."""


class TrainingStopped(UserError):
    """Training cannot go on; the message names the step and the last good checkpoint."""


def train(
    recipe: Recipe,
    batches_from: Callable[[int], Iterator[Batch]],
    config: TrainConfig,
    identity: Identity,
    checkpoints_dir: Path,
    device: torch.device,
    observer: Observer | None,
) -> TrainResult:
    """Trains a recipe to `config.steps`, going on from the last checkpoint in `checkpoints_dir` if there is one.

    An interrupted and resumed run ends with the same bits as an uninterrupted one (same machine, device and thread count; on
    CUDA with `runtime.deterministic`): the batches of a step depend on nothing but its number, and a checkpoint holds all
    other state.

    Several processes (`pennet.training.processes`) each call this; the first one alone writes checkpoints and shows
    progress. Checkpoints fit any number of processes.

    Args:
        recipe: the method, its networks on `device`.
        batches_from: given a step, yields the batches of that step and all later ones.
        config: the budget.
        identity: what this run is; a checkpoint of another identity is refused.
        checkpoints_dir: where checkpoints live.
        device: where batches go.
        observer: hears of losses and may draw samples; None for nobody.

    Raises:
        UserError: a checkpoint of another configuration, or an unreadable one.
        TrainingStopped: a loss, a gradient or a weight is NaN or infinite; or the processes' weights are not the same.
        ProcessLost: another process has ended.
        OSError: a checkpoint cannot be written.
    """
    ema = EMA(recipe.generator, config.ema_decay)
    history: list[dict[str, float]] = []
    first_step, seconds, peak_memory, shared_by = 0, 0.0, 0.0, [processes.number()]

    # Resume.
    saved = checkpoint_paths(checkpoints_dir)
    if saved:
        first_step, state = load_checkpoint(saved[-1], identity)
        for name, part in recipe.parts().items():
            part.load_state_dict(state["recipe"][name])
        ema.network.load_state_dict(state["ema"])
        history = state["history"]
        seconds, peak_memory = state["seconds"], state["peak_memory_mib"]
        before = state["processes"]
        shared_by = before if first_step == config.steps or before[-1:] == shared_by else before + shared_by
    if not processes.agree(torch.tensor([float(first_step)], device=device)):
        raise UserError(
            f"{checkpoints_dir}: step {first_step} is the last one here, but not for all processes of this training; they"
            " need the same project folder"
        )
    batches = batches_from(first_step)
    if saved:
        restore_random_state(state["random"], device, saved[-1])

    leads = processes.is_first()
    progress = tqdm(total=config.steps, initial=first_step, unit="step", desc="train", disable=not leads)
    seconds_before, started = seconds, time.perf_counter()
    for step, batch in enumerate(batches, start=first_step + 1):
        # Learn.
        try:
            losses = recipe.update(batch.to(device))
        except FloatingPointError as error:
            raise _stopped(step, str(error), checkpoints_dir) from error
        ema.update(recipe.generator, step)

        # Tell.
        images_per_second = (step - first_step) * config.batch_size / (time.perf_counter() - started)
        progress.set_postfix(loss=f"{losses['generator']:.3f}", images_s=f"{images_per_second:.0f}", refresh=False)
        progress.update()
        if step % config.log_every_steps == 0 or step == config.steps:
            history.append({"step": step, **losses})
            if observer:
                observer.metrics(step, {**losses, "images_per_second": images_per_second})
        if observer and config.sample_every_steps and step % config.sample_every_steps == 0:
            observer.samples(step, ema.network)

        # Keep.
        if step % config.checkpoint_every_steps == 0 or step == config.steps:
            networks = {name: part for name, part in recipe.parts().items() if isinstance(part, nn.Module)}
            if spoilt := [name for name, network in {**networks, "ema": ema.network}.items() if not _is_finite(network)]:
                raise _stopped(step, f"weights of {', '.join(spoilt)} are NaN or infinite", checkpoints_dir)
            if not processes.agree(_sums(*networks.values(), ema.network)):
                raise TrainingStopped(
                    f"step {step}: the processes' weights are not the same any more, as GPUs of different kinds would make"
                    " them; use GPUs of one kind, or fewer processes"
                )
            seconds = seconds_before + time.perf_counter() - started
            peak_memory = max(peak_memory, peak_memory_mib(device))
            state = {
                "recipe": {name: part.state_dict() for name, part in recipe.parts().items()},
                "ema": ema.network.state_dict(),
                "history": history,
                "random": random_state(device),
                "seconds": seconds,
                "peak_memory_mib": peak_memory,
                "processes": shared_by,
            }
            if leads:
                save_checkpoint(checkpoints_dir, step, identity, state)
    progress.close()
    # The cost is what the last checkpoint says: running a finished training again reports the same.
    return TrainResult(ema.network, history, first_step, seconds, peak_memory, shared_by)


def _stopped(step: int, why: str, checkpoints_dir: Path) -> TrainingStopped:
    saved = checkpoint_paths(checkpoints_dir)
    last_good = str(saved[-1]) if saved else "none was written yet"
    return TrainingStopped(
        f"step {step}: {why}; last good checkpoint: {last_good}. Lower the learning rate or the adversarial"
        " weight; a run with the same parameters would fail again"
    )


def _is_finite(network: nn.Module) -> bool:
    return all(bool(value.isfinite().all()) for value in network.state_dict().values())


def _sums(*networks: nn.Module) -> torch.Tensor:
    """The sum of each weight and buffer, in double precision: of two networks the same only if all their bits are, in
    practice."""
    return torch.stack([value.double().sum() for network in networks for value in network.state_dict().values()])


def random_state(device: torch.device) -> dict[str, Any]:
    """Of the CPU and, where the training is on one, of its GPU; what other GPUs of the machine draw is not its business."""
    state = {"cpu": torch.get_rng_state()}
    return state | ({"cuda": torch.cuda.get_rng_state(device)} if device.type == "cuda" else {})


def restore_random_state(state: dict[str, Any], device: torch.device, path: Path) -> None:
    torch.set_rng_state(state["cpu"])
    if device.type == "cuda":
        if "cuda" not in state:
            raise UserError(
                f"checkpoint {path} was made on a CPU and holds no random state of a GPU, so {device} cannot go on with the"
                " same numbers; set runtime.device: cpu, or remove it to start anew"
            )
        torch.cuda.set_rng_state(state["cuda"], device)
