"""The metrics that every image has for itself, a batch in memory at a time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from pennet.errors import UserError
from pennet.metrics.metric import Metric
from pennet.metrics.pairs import LoadImage, Pairs
from pennet.metrics.per_image import PerImage
from pennet.metrics.pixel import Images, Values


class Measure(NamedTuple):
    """A metric of single images that is ready: its network, if it needs one, is loaded."""

    metric: Metric
    network: Any


def score_images(
    pairs: Pairs, measures: Sequence[Measure], batch_size: int, shape: tuple[int, ...] | None = None
) -> PerImage:
    """The metrics that every image has for itself, in the order of the images.

    Args:
        pairs: what to compare.
        measures: the metrics.
        batch_size: images that are scored together; the values do not depend on it.
        shape: that every ground truth must have; None: that of the first.

    Raises:
        UserError: a picture or mask has not the shape of the first ground truth.
    """
    shape = shape or pairs.real(0).shape
    starts = range(0, len(pairs), batch_size)
    batches: list[dict[str, Values]] = []
    for start in tqdm(starts, "images", disable=None):
        indices = range(start, min(start + batch_size, len(pairs)))
        real = _stack(pairs.real, indices, pairs.names, "ground truth", shape)
        fake = _stack(pairs.fake, indices, pairs.names, "result", shape)
        mask = None if pairs.mask is None else _stack(pairs.mask, indices, pairs.names, "mask", shape[:2])
        batches.append(_score_batch(fake, real, mask, measures))
    columns = {name: np.concatenate([batch[name] for batch in batches]) for name in batches[0]}
    return PerImage(pairs.names, columns.pop("hole_ratio", None), columns)


def _score_batch(
    fake: Images, real: Images, mask: NDArray[np.uint8] | None, measures: Sequence[Measure]
) -> dict[str, Values]:
    columns = {} if mask is None else {"hole_ratio": (mask > 0).mean(axis=(1, 2))}
    computed: dict[tuple[Any, ...], Any] = {}
    for metric, network in measures:
        more = {"pair": (), "hole": (mask,), "network": (network,)}[metric.needs]
        work = (metric.function, metric.variant if network else None)
        if work not in computed:
            computed[work] = metric.function(fake, real, *more)
        values = computed[work]
        columns[metric.key] = getattr(values, metric.name) if isinstance(values, tuple) else values
    return columns


def _stack(load: LoadImage, indices: range, names: list[str], what: str, shape: tuple[int, ...]) -> Images:
    images = []
    for i in indices:
        image = load(i)
        if image.shape != shape:
            needed = f"the first ground truth needs {shape}"
            raise UserError(f"{names[i]}: has shape {image.shape} ({what}), {needed}; all must have one size")
        images.append(image)
    return np.stack(images)
