"""Blocks by threads, each of which gets its work as another machine would: pickled."""

import dataclasses
import pickle
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from pennet.errors import UserError
from pennet.in_order import Workers
from pennet.metrics import blocks
from pennet.metrics.pairs import Pairs
from pennet.metrics.scoring import score
from tests.metrics.samples import noisy, pictures
from tests.metrics.test_scoring import CONFIG, CPU, _masks

SIDE = 32
COUNT = 100
BATCH = 5
CALLS: list[int] = []


class Posting(ThreadPoolExecutor):
    """Sends work through pickle, and remembers its size in bytes."""

    def __init__(self) -> None:
        super().__init__(2)
        self.sizes: list[int] = []

    def submit(self, function: Callable, *items: object) -> Future:  # type: ignore[override]
        letter = pickle.dumps((function, items))
        self.sizes.append(len(letter))
        return super().submit(lambda: (lambda work, arguments: work(*arguments))(*pickle.loads(letter)))


def opened(with_masks: bool, odd: int | None = None) -> Pairs:
    """Names are in no order; picture `odd` has another size."""
    real = pictures(COUNT, SIDE, SIDE)
    fake, masks = noisy(real, 20), _masks(np.linspace(0.05, 0.5, COUNT), SIDE)
    names = [f"{(7 * i) % COUNT:04}" for i in range(COUNT)]
    return Pairs(
        names,
        fake.__getitem__,
        lambda i: real[i][:16] if i == odd else real[i],
        masks.__getitem__ if with_masks else None,
        reopen=partial(opened, with_masks, odd),
    )


def ready() -> None:
    CALLS.append(1)


@pytest.mark.parametrize("with_masks", [True, False])
def test_blocks_give_the_report_and_table_of_one_process(with_masks: bool, tmp_path: Path) -> None:
    config = dataclasses.replace(CONFIG, batch_size=BATCH)
    alone = score(opened(with_masks), config, CPU, tmp_path)
    CALLS.clear()
    with Posting() as executor:
        shared = score(opened(with_masks), config, CPU, tmp_path, workers=Workers(executor, 2, ready))
    assert shared.report == alone.report
    assert shared.per_image.names == alone.per_image.names
    assert shared.per_image.values.keys() == alone.per_image.values.keys()
    for key, values in alone.per_image.values.items():
        np.testing.assert_array_equal(shared.per_image.values[key], values)
    assert len(executor.sizes) == len(CALLS) == COUNT // (BATCH * blocks.BATCHES)
    assert max(executor.sizes) < 2000


def test_a_picture_of_another_size_in_a_later_block_is_named(tmp_path: Path) -> None:
    message = r"has shape \(16, 32, 3\) \(ground truth\), the first ground truth needs \(32, 32, 3\)"
    with Posting() as executor, pytest.raises(UserError, match=message):
        score(opened(True, odd=COUNT - 1), CONFIG, CPU, tmp_path, workers=Workers(executor, 2))


def test_pairs_that_cannot_be_reopened_are_refused(tmp_path: Path) -> None:
    pairs = dataclasses.replace(opened(True), reopen=None)
    with Posting() as executor, pytest.raises(ValueError, match="cannot be reopened"):
        score(pairs, CONFIG, CPU, tmp_path, workers=Workers(executor, 2))
