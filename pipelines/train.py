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
    *,
    train: TrainConfig,
    recipe: MethodConfig,
    runtime: RuntimeConfig,
    tracking: TrackingConfig,
) -> None:
    """Trains `method` on `dataset`, going on from its last checkpoint if an earlier run was interrupted."""
    import numpy as np
    import pandas as pd
    import torch

    from pennet.atomic import replacing
    from pennet.compositing import composite
    from pennet.data.dataset import InpaintingDataset, StepSampler, batches
    from pennet.data.images import to_float, to_uint8
    from pennet.data.masks import centre_square
    from pennet.inference import predict, save_generator
    from pennet.methods import build_recipe
    from pennet.pictures import sheet
    from pennet.seeding import choose_device, seed_everything
    from pennet.training import loop
    from pipelines.fingerprint import run_fingerprint
    from pipelines.tracking import live_run

    device = choose_device(runtime.device)
    seed_everything(train.seed, runtime.num_threads)
    fingerprint = run_fingerprint(dataset, method)
    pictures = np.load(layout.prepared_dir(dataset) / "train.npy", mmap_mode="r")
    method_recipe = build_recipe(recipe, pictures.shape[1], device, train.mixed_precision)
    images = InpaintingDataset(
        pictures,
        seed=train.seed,
        flip=train.flip,
        quarter_turns=train.quarter_turns,
        colour_jitter=train.colour_jitter,
        mask_function=method_recipe.training_mask,
    )

    def batches_from(step: int) -> Iterator[Batch]:
        step_size = train.batch_size * method_recipe.batches_per_step
        sampler = StepSampler(len(images), step_size, train.seed, first_step=step, last_step=train.steps)
        return batches(images, sampler, runtime.num_workers)

    test_images = np.load(layout.prepared_dir(dataset) / "test.npy", mmap_mode="r")[: train.num_samples]

    with live_run(dataset, method, tracking) as live:

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
            method_recipe,
            batches_from,
            train,
            fingerprint.identity,
            layout.checkpoints_dir(fingerprint.training),
            device,
            Watcher(),
        )
        folder = layout.model_dir(dataset, method)
        save_generator(result.generator, method, recipe, folder)
        with replacing(folder / "history.csv") as temporary:
            pd.DataFrame(result.history).to_csv(temporary, index=False)
        print(f"{method} on {dataset}: {train.steps} steps, {result.images_per_second:.1f} images/s -> {folder}")


if __name__ == "__main__":
    stage_main(run)
