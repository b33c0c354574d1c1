"""Stage `inpaint`: fills the holes of the test images with one trained method, once for each protocol."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pennet.config import InpaintConfig, RuntimeConfig
from pipelines import layout
from pipelines.outputs import TestSet, protocols, test_set, write_outputs
from pipelines.params import stage_main


def run(dataset: str, method: str, seed: int, *, inpaint: InpaintConfig, runtime: RuntimeConfig) -> None:
    """Writes the prediction and the composite of each test image of `dataset`, by `method` as trained from `seed`.

    Of a method that copies pixels also where the pictures of the showcase got theirs.
    """
    import numpy as np
    import torch
    from tqdm import tqdm

    from pennet.generator_files import load_generator
    from pennet.images import to_float, to_uint8
    from pennet.inference import predict, predict_sources
    from pennet.seeding import apply_runtime, seed_everything
    from pipelines.showcase import showcase

    device = apply_runtime(runtime)
    seed_everything(0)
    generator = load_generator(layout.model_dir(dataset, method, seed)).to(device)

    def predictions(protocol: str, test: TestSet) -> Iterator[tuple[str, Any, Any, Any]]:
        starts = range(0, len(test.names), inpaint.batch_size)
        for start in tqdm(starts, desc=f"inpaint {method}, {protocol}", unit="batch"):
            rows = range(start, min(start + inpaint.batch_size, len(test.names)))
            image, mask = batch(test, rows)
            prediction = to_uint8(predict(generator, *tensors(image, mask)))
            yield from zip([test.names[i] for i in rows], image, mask, prediction, strict=True)

    def sources(test: TestSet) -> Iterator[tuple[str, Any]]:
        for i in shown:
            yield test.names[i], predict_sources(generator, *tensors(*batch(test, [i])))[0].cpu().numpy()

    def batch(test: TestSet, rows: Any) -> tuple[Any, Any]:
        return np.stack([test.images[i] for i in rows]), np.stack([test.masks[i] for i in rows])

    def tensors(image: Any, mask: Any) -> tuple[torch.Tensor, torch.Tensor]:
        return to_float(image).to(device), torch.from_numpy(mask[:, None].astype(np.float32)).to(device)

    tests = {protocol: test_set(dataset, protocol) for protocol in protocols(dataset)}
    any_test = next(iter(tests.values()))
    shown = showcase(any_test.images) if getattr(generator, "copies_pixels", False) else []
    filled = {protocol: (predictions(protocol, test), sources(test)) for protocol, test in tests.items()}
    write_outputs(layout.outputs_dir(dataset, method, seed), filled)


if __name__ == "__main__":
    stage_main(run)
