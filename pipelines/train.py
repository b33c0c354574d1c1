"""Stage `train`: trains one learned method on one prepared data set."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from pennet.config import MethodConfig, RuntimeConfig, TrackingConfig, TrainConfig
from pipelines import layout
from pipelines.params import stage_main

if TYPE_CHECKING:
    from torch import nn

    from pennet.data.dataset import Batch


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
    """Trains `method` on `dataset` from `seed`, going on from its last checkpoint if an earlier run was interrupted."""
    import dataclasses

    import numpy as np
    import pandas as pd
    import torch

    from pennet.atomic import replacing
    from pennet.compositing import composite
    from pennet.data.dataset import InpaintingDataset, StepSampler, batches
    from pennet.data.images import to_float, to_uint8
    from pennet.data.masks import centre_square
    from pennet.generator_files import save_generator
    from pennet.inference import predict
    from pennet.methods import build_recipe
    from pennet.pictures import sheet
    from pennet.seeding import apply_runtime, seed_everything
    from pennet.training import budget, loop
    from pennet.training.allocator import keep_freed_memory
    from pennet.training.cost import Cost, count_parameters, device_name, write_cost
    from pipelines.fingerprint import run_fingerprint
    from pipelines.tracking import live_run

    keep_freed_memory()
    device = apply_runtime(runtime)
    fingerprint = run_fingerprint(dataset, method, seed)
    checkpoints_dir = layout.checkpoints_dir(fingerprint.training)
    pictures = layout.prepared_dir(dataset) / "train.npy"
    side_px = np.load(pictures, mmap_mode="r").shape[1]
    test_images = np.load(layout.prepared_dir(dataset) / "test.npy", mmap_mode="r")[: train.num_samples]

    def fresh_recipe(steps: int) -> loop.Recipe:
        seed_everything(seed)
        return build_recipe(recipe, side_px, steps, device, train.mixed_precision)

    def batches_for(learner: loop.Recipe, first_step: int, last_step: int) -> Iterator[Batch]:
        images = InpaintingDataset(
            pictures,
            seed=seed,
            flip=train.flip,
            quarter_turns=train.quarter_turns,
            colour_jitter=train.colour_jitter,
            mask_function=learner.training_mask,
        )
        step_size = train.batch_size * learner.batches_per_step
        sampler = StepSampler(len(images), step_size, seed, first_step, last_step)
        return batches(images, sampler, runtime.num_workers, device)

    def planned_steps() -> int:
        plan = checkpoints_dir / "plan.json"
        if (steps := budget.read_plan(plan)) is None:
            trial = fresh_recipe(budget.WARM_UP_STEPS + budget.TIMED_STEPS)
            pace = budget.seconds_per_step(trial, batches_for(trial, 0, budget.WARM_UP_STEPS + budget.TIMED_STEPS), device)
            steps = budget.steps_within(train.minutes, pace)
            budget.write_plan(plan, steps, pace)
            print(f"{method}: {pace:.3f} s a step, so {steps} steps in {train.minutes:g} minutes")
        return steps

    steps = train.steps or planned_steps()
    learner = fresh_recipe(steps)

    with live_run(dataset, method, seed, tracking) as live:

        class Watcher:
            def metrics(self, step: int, values: dict[str, float]) -> None:
                live.metrics(step, {f"train/{name}": value for name, value in values.items()})

            def samples(self, step: int, generator: nn.Module) -> None:
                image = to_float(np.ascontiguousarray(test_images)).to(device)
                mask = torch.from_numpy(centre_square(*image.shape[-2:])).to(image).expand(len(image), 1, -1, -1)
                prediction = predict(generator, image, mask)
                columns = [image * (1 - mask) + mask, prediction, composite(image, prediction, mask), image]
                rows = [list(row) for row in zip(*(to_uint8(column) for column in columns), strict=True)]
                live.picture(step, sheet(rows, ["input", "prediction", "composite", "ground truth"]))

        result = loop.train(
            learner,
            lambda first_step: batches_for(learner, first_step, steps),
            dataclasses.replace(train, steps=steps),
            fingerprint.identity,
            checkpoints_dir,
            device,
            Watcher(),
        )
        networks = [part for part in learner.parts().values() if isinstance(part, torch.nn.Module)]
        cost = Cost(
            parameters=count_parameters(learner.generator),
            training_parameters=count_parameters(*networks),
            steps=steps,
            budget="steps" if train.steps else "minutes",
            minutes=train.minutes,
            seconds=round(result.seconds, 1),
            images_per_second=round(steps * train.batch_size / result.seconds, 2),
            peak_memory_mib=round(result.peak_memory_mib, 1),
            device=device_name(device),
            num_threads=runtime.num_threads,
        )
        folder, report_dir = layout.model_dir(dataset, method, seed), layout.report_dir(dataset, method, seed)
        save_generator(result.generator, recipe, folder)
        with replacing(report_dir / "history.csv") as temporary:
            pd.DataFrame(result.history).to_csv(temporary, index=False)
        write_cost(report_dir / "cost.json", cost)
        print(f"{method} on {dataset}: {steps} steps, {cost.images_per_second:.1f} images/s -> {folder}")


if __name__ == "__main__":
    stage_main(run)
