"""Scores and features made by workers elsewhere, some whole batches at a time.

Each batch holds the pictures that it holds alone, so every value has the bits that it has alone. What travels are numbers of
pictures, how to open them, and names of metrics and networks; a worker reads pictures and weights for itself.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from tqdm import tqdm

from pennet.in_order import Workers, in_order
from pennet.metrics.catalogue import find
from pennet.metrics.features import Extractor, Features, extract, load_extractor
from pennet.metrics.image_scores import Measure, score_images
from pennet.metrics.pairs import Pairs
from pennet.metrics.per_image import PerImage

Kind = Literal["fake", "real"]

BATCHES = 4
"""Of a block: enough that opening a large set anew costs little beside them, few enough that small sets are shared."""


@dataclass(frozen=True)
class Blocks:
    """The pictures of a set, shared out.

    Args:
        workers: who works.
        reopen: gives the pictures, in any process.
        order: their numbers, in the order of the results.
        batch_size: pictures that are scored together.
        device: where the networks run, on every machine.
    """

    workers: Workers
    reopen: Callable[[], Pairs]
    order: Sequence[int]
    batch_size: int
    device: torch.device

    def score_images(self, names: list[str], measures: Sequence[Measure], shape: tuple[int, ...]) -> PerImage:
        """As `pennet.metrics.image_scores.score_images`.

        Args:
            names: of the pictures, in order.
            measures: the metrics; their networks stay here.
            shape: that every ground truth must have.
        """
        keys = [measure.metric.key for measure in measures]
        tables = self._each(partial(_score_block, self.reopen, keys, self.batch_size, self.device, shape), "images")
        ratios = [table.hole_ratio for table in tables if table.hole_ratio is not None]
        columns = {key: np.concatenate([table.values[key] for table in tables]) for key in keys}
        return PerImage(names, np.concatenate(ratios) if ratios else None, columns)

    def extract(self, extractor: Extractor, kind: Kind, label: str, inception_weights: Path | None) -> Features:
        """As `pennet.metrics.features.extract`.

        Args:
            extractor: the network; another of its name, with the same weights, is loaded by each worker.
            kind: of which pictures.
            label: what the progress bar says.
            inception_weights: the file that `extractor` was loaded from; None: torch's cache, which each machine has.
        """
        weights = inception_weights and inception_weights.absolute()
        task = partial(_extract_block, self.reopen, kind, self.batch_size, extractor.name, self.device, weights)
        return Features(*(np.concatenate(part) for part in zip(*self._each(task, label), strict=True)))

    def _each(self, task: Callable[[Sequence[int]], Any], label: str) -> list[Any]:
        size = BATCHES * self.batch_size
        blocks = [self.order[start : start + size] for start in range(0, len(self.order), size)]
        return list(tqdm(in_order(self.workers, task, blocks), label, len(blocks), disable=None))


def _score_block(
    reopen: Callable[[], Pairs],
    keys: Sequence[str],
    batch_size: int,
    device: torch.device,
    shape: tuple[int, ...],
    numbers: Sequence[int],
) -> PerImage:
    measures = [Measure(find(key), _network(key, device)) for key in keys]
    return score_images(reopen().taken(numbers), measures, batch_size, shape)


def _extract_block(
    reopen: Callable[[], Pairs],
    kind: Kind,
    batch_size: int,
    name: str,
    device: torch.device,
    inception_weights: Path | None,
    numbers: Sequence[int],
) -> Features:
    load = getattr(reopen().taken(numbers), kind)
    return extract(_extractor(name, device, inception_weights), load, len(numbers), batch_size, f"{name}: {kind}")


@cache
def _network(key: str, device: torch.device) -> Any:
    metric = find(key)
    return metric.load(metric.variant, device) if metric.load else None


@cache
def _extractor(name: str, device: torch.device, inception_weights: Path | None) -> Extractor:
    return load_extractor(name, device, inception_weights)
