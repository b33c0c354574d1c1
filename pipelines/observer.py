"""What a training shows while it runs: curves and sample sheets in MLflow. It must not change the training."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipelines import layout

if TYPE_CHECKING:
    import torch
    from torch import nn

    from pipelines.tracking.live import LiveRun


class LiveObserver:
    """Sends losses and sample sheets to a live run. See `pennet.training.loop.Observer`.

    Args:
        live: the run.
        dataset: whose first validation images are painted, with the centre hole: a training never sees the test.
        num_samples: rows of a sheet.
        device: where the generator is.
    """

    def __init__(self, live: LiveRun, dataset: str, num_samples: int, device: torch.device):
        import numpy as np
        import torch

        from pennet.data.pictures.shards import Shards
        from pennet.images import to_float
        from pennet.masks import numbered_mask

        self.live = live
        pictures = Shards(layout.prepared_dir(dataset), "val")
        self.image = to_float(np.stack([pictures[i] for i in range(min(num_samples, len(pictures)))])).to(device)
        hole = torch.from_numpy(numbered_mask("centre", 0, 0, *self.image.shape[-2:])).to(self.image)
        self.mask = hole.expand(len(self.image), 1, -1, -1)

    def metrics(self, step: int, values: dict[str, float]) -> None:
        self.live.metrics(step, {f"train/{name}": value for name, value in values.items()})

    def samples(self, step: int, generator: nn.Module) -> None:
        from pennet.compositing import composite
        from pennet.images import to_uint8
        from pennet.inference import predict
        from pennet.pictures import sheet

        image, mask = self.image, self.mask
        prediction = predict(generator, image, mask)
        columns = [image * (1 - mask) + mask, prediction, composite(image, prediction, mask), image]
        rows = [list(row) for row in zip(*(to_uint8(column) for column in columns), strict=True)]
        self.live.picture(step, sheet(rows, ["input", "prediction", "composite", "ground truth"]))
