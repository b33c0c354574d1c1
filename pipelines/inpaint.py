"""Stage `inpaint`: fills the holes of the test images with one trained method."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pennet.config import InpaintConfig, RuntimeConfig
from pipelines import layout
from pipelines.outputs import test_set, write_outputs
from pipelines.params import stage_main


def run(dataset: str, method: str, seed: int, *, inpaint: InpaintConfig, runtime: RuntimeConfig) -> None:
    """Writes the prediction and the composite of each test image of `dataset`, by `method` as trained from `seed`.

    Of a method that copies pixels also where the pictures of the showcase got theirs.
    """
    import numpy as np
    import torch
    from tqdm import tqdm

    from pennet.data.images import to_float, to_uint8
    from pennet.generator_files import load_generator
    from pennet.inference import predict, predict_sources
    from pennet.seeding import apply_runtime, seed_everything
    from pipelines.showcase import showcase

    device = apply_runtime(runtime)
    seed_everything(0)
    generator = load_generator(layout.model_dir(dataset, method, seed)).to(device)
    names, images, masks = test_set(dataset)

    def predictions() -> Iterator[tuple[str, Any, Any, Any]]:
        for start in tqdm(range(0, len(names), inpaint.batch_size), desc=f"inpaint {method}", unit="batch"):
            rows = slice(start, start + inpaint.batch_size)
            image, mask = np.array(images[rows]), np.array(masks[rows])
            prediction = to_uint8(predict(generator, *tensors(image, mask)))
            yield from zip(names[rows], image, mask, prediction, strict=True)

    def sources() -> Iterator[tuple[str, Any]]:
        for i in showcase(images) if getattr(generator, "copies_pixels", False) else ():
            yield names[i], predict_sources(generator, *tensors(images[i : i + 1], masks[i : i + 1]))[0].cpu().numpy()

    def tensors(image: Any, mask: Any) -> tuple[torch.Tensor, torch.Tensor]:
        return to_float(image).to(device), torch.from_numpy(mask[:, None].astype(np.float32)).to(device)

    write_outputs(layout.outputs_dir(dataset, method, seed), predictions(), sources())


if __name__ == "__main__":
    stage_main(run)
