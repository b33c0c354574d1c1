"""Stage `train`: trains one learned method on one prepared data set."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from pennet.config import MethodConfig, RuntimeConfig, TrackingConfig, TrainConfig
from pipelines import layout
from pipelines.params import stage_main

if TYPE_CHECKING:
    import torch

    from pennet.images import Picture
    from pennet.training.dataset import Batch
    from pennet.training.loop import Observer, Recipe, TrainResult
    from pipelines.identity import Identity


def run(
    dataset: str,
    method: str,
    seed: int,
    *,
    train: TrainConfig,
    recipe: MethodConfig,
    runtime: RuntimeConfig,
    tracking: TrackingConfig,
) -> None:
    """Trains `method` on `dataset` from `seed`, going on from its last checkpoint if an earlier run was interrupted.

    DVC runs it when bytes have changed; where nothing that decides the weights has, they stay as they are. With
    `runtime.num_processes` above 1 it starts so many of itself, which share the work; torchrun may start them, too.
    """
    from pennet.training.checkpoint import checkpoint_paths, differences
    from pennet.training.processes import is_started_with_others
    from pipelines.identity import digest, last_other_training, read_identity, training_identity
    from pipelines.launch import launch, reporting
    from pipelines.params import load_params

    identity = training_identity(dataset, method, seed, load_params())
    folder, report_dir = layout.model_dir(dataset, method, seed), layout.report_dir(dataset, method, seed)
    if read_identity(folder / layout.IDENTITY_FILE) == identity and _is_whole(folder, report_dir):
        print(f"{method} on {dataset}: trained already; nothing that decides the weights has changed")
        return
    checkpoints_dir = layout.checkpoints_dir(digest(identity))
    if not is_started_with_others():
        if not checkpoint_paths(checkpoints_dir) and (other := last_other_training(identity)):
            print(f"a new training; {other[0]} is another one: {'; '.join(differences(other[1], identity))}")
        if runtime.num_processes > 1:
            launch("pipelines.train", [dataset, method, seed], runtime.num_processes, checkpoints_dir)
            return
    with reporting():
        _train(dataset, method, seed, identity, train, recipe, runtime, tracking)


def _train(
    dataset: str,
    method: str,
    seed: int,
    identity: Identity,
    train: TrainConfig,
    recipe: MethodConfig,
    runtime: RuntimeConfig,
    tracking: TrackingConfig,
) -> None:
    """Trains in this process, alone or as one of several; the first one records and writes."""
    from pennet.data.pictures.shards import Shards
    from pennet.seeding import apply_runtime, choose_device
    from pennet.training import loop, processes
    from pennet.training.allocator import keep_freed_memory
    from pipelines.identity import digest, write_identity
    from pipelines.observer import LiveObserver
    from pipelines.tracking.live import live_run

    keep_freed_memory()
    device = apply_runtime(replace(runtime, device=processes.own_device(str(choose_device(runtime.device)))))
    trial = Trial(Shards(layout.prepared_dir(dataset), "train"), seed, train, recipe, runtime, device)
    checkpoints_dir = layout.checkpoints_dir(digest(identity))
    with processes.joined(device, train.batch_size):
        if processes.is_first():
            write_identity(checkpoints_dir / layout.IDENTITY_FILE, identity)
        steps = train.steps or _planned_steps(trial, checkpoints_dir / "plan.json")
        learner = trial.learner(steps)

        def learn(observer: Observer | None) -> TrainResult:
            budget = replace(train, steps=steps)
            batches_from = partial(trial.batches, learner, last_step=steps)
            return loop.train(learner, batches_from, budget, identity, checkpoints_dir, device, observer)

        if not processes.is_first():
            learn(None)
            return
        with live_run(dataset, method, seed, identity, tracking) as live:
            result = learn(LiveObserver(live, dataset, train.num_samples, device))
            folder, report_dir = layout.model_dir(dataset, method, seed), layout.report_dir(dataset, method, seed)
            _write_cost(trial, learner, result, report_dir / "cost.json", checkpoints_dir / "timing.json")
            _write_training(result, recipe, folder, report_dir)
            write_identity(folder / layout.IDENTITY_FILE, identity)  # last: with it the training is whole
            print(f"{method} on {dataset}: {steps} steps -> {folder}")


@dataclass(frozen=True)
class Trial:
    """One training's data and settings, from which networks and batches are made as often as they are needed."""

    pictures: Sequence[Picture] | Picture
    seed: int
    train: TrainConfig
    recipe: MethodConfig
    runtime: RuntimeConfig
    device: torch.device

    def learner(self, steps: int) -> Recipe:
        """The method with fresh networks, its schedule over `steps` updates."""
        from pennet.methods import build_recipe
        from pennet.seeding import seed_everything

        seed_everything(self.seed)
        return build_recipe(self.recipe, self.pictures[0].shape[0], steps, self.device, self.train.mixed_precision)

    def batches(self, learner: Recipe, first_step: int, last_step: int) -> Iterator[Batch]:
        """The batches of the steps from `first_step` (included, counted from 0) to `last_step` (excluded)."""
        from pennet.training.dataset import InpaintingDataset, StepSampler, batches

        images = InpaintingDataset(
            self.pictures,
            seed=self.seed,
            flip=self.train.flip,
            quarter_turns=self.train.quarter_turns,
            colour_jitter=self.train.colour_jitter,
            mask_function=learner.training_mask,
        )
        step_size = self.train.batch_size * learner.batches_per_step
        shuffled = getattr(self.pictures, "shard_of", None), self.train.shuffle_window_shards
        sampler = StepSampler(len(images), step_size, self.seed, first_step, last_step, *shuffled)
        return batches(images, sampler, self.runtime.num_workers, self.device)


def _is_whole(folder: Path, report_dir: Path) -> bool:
    from pennet.generator_files import CONFIG_FILE, WEIGHTS_FILE

    outs = [folder / WEIGHTS_FILE, folder / CONFIG_FILE, report_dir / "history.csv", report_dir / "cost.json"]
    return all(path.exists() for path in outs)


def _planned_steps(trial: Trial, plan: Path) -> int:
    """The steps that the budget of minutes buys; measured once, then read. The same in all processes."""
    import torch

    from pennet.training import budget, processes

    if (steps := budget.read_plan(plan)) is None:
        timed_steps = budget.WARM_UP_STEPS + budget.TIMED_STEPS
        learner = trial.learner(timed_steps)
        own_pace = budget.seconds_per_step(learner, trial.batches(learner, 0, timed_steps), trial.device)
        pace = processes.average(torch.tensor(own_pace, dtype=torch.float64, device=trial.device)).item()
        steps = budget.steps_within(trial.train.minutes, pace)
        if processes.is_first():
            budget.write_plan(plan, steps, pace)
            print(f"{pace:.3f} s a step, so {steps} steps in {trial.train.minutes:g} minutes")
    return steps


def _write_cost(trial: Trial, learner: Recipe, result: TrainResult, cost_path: Path, timing_path: Path) -> None:
    import torch

    from pennet.cost import Cost, Timing, count_parameters, device_name, write_cost, write_timing

    steps = int(result.history[-1]["step"])
    networks = [part for part in learner.parts().values() if isinstance(part, torch.nn.Module)]
    cost = Cost(
        parameters=count_parameters(learner.generator),
        training_parameters=count_parameters(*networks),
        steps=steps,
        budget="steps" if trial.train.steps else "minutes",
        minutes=trial.train.minutes,
    )
    timing = Timing(
        seconds=round(result.seconds, 1),
        images_per_second=round(steps * trial.train.batch_size / result.seconds, 2),
        peak_memory_mib=round(result.peak_memory_mib, 1) or None,
        device=device_name(trial.device),
        num_threads=trial.runtime.num_threads,
        torch=torch.__version__,
        processes=result.processes,
    )
    write_cost(cost_path, cost)
    write_timing(timing_path, timing)


def _write_training(result: TrainResult, recipe: MethodConfig, folder: Path, report_dir: Path) -> None:
    import pandas as pd

    from pennet.atomic import replacing
    from pennet.generator_files import save_generator

    save_generator(result.generator, recipe, folder)
    with replacing(report_dir / "history.csv") as temporary:
        pd.DataFrame(result.history).to_csv(temporary, index=False)


if __name__ == "__main__":
    stage_main(run)
