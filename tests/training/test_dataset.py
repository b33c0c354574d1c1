import multiprocessing
import pickle
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pytest
import torch

from pennet.images import Picture, to_float
from pennet.masks.box_and_free_form import box_and_free_form
from pennet.masks.jittered_box import jittered_box
from pennet.masks.rotated_square import rotated_square
from pennet.training import dataset as module
from pennet.training.dataset import Batch, InpaintingDataset, StepSampler, batches, jitter_colours

CPU = torch.device("cpu")
IMAGES = np.random.default_rng(0).integers(0, 256, (7, 16, 16, 3), dtype=np.uint8)


def make_dataset(flip: bool = True, quarter_turns: bool = False, colour_jitter: float = 0.1) -> InpaintingDataset:
    return InpaintingDataset(IMAGES, 3, flip, quarter_turns, colour_jitter, rotated_square)


def collect(first_step: int, last_step: int, num_workers: int = 0) -> list[Batch]:
    return list(batches(make_dataset(), StepSampler(7, 4, 3, first_step, last_step), num_workers, CPU))


def test_sampler_visits_every_image_once_an_epoch_and_drops_none() -> None:
    pairs = [pair for batch in StepSampler(7, 4, 3, 0, 7) for pair in batch]  # 28 samples: 4 epochs
    assert len(pairs) == 28
    for epoch in range(4):
        assert sorted(index for e, index in pairs if e == epoch) == list(range(7))


def test_sampler_changes_the_order_every_epoch() -> None:
    pairs = [pair for batch in StepSampler(50, 50, 3, 0, 2) for pair in batch]
    assert [i for e, i in pairs if e == 0] != [i for e, i in pairs if e == 1]


def test_sampler_started_late_goes_on_as_if_it_had_started_early() -> None:
    whole = list(StepSampler(7, 4, 3, 0, 9))
    assert list(StepSampler(7, 4, 3, 5, 9)) == whole[5:]


def test_sampler_fills_batches_larger_than_the_data_set() -> None:
    assert [len(batch) for batch in StepSampler(3, 8, 3, 0, 2)] == [8, 8]


def test_sampler_of_an_empty_split_is_refused() -> None:
    with pytest.raises(ValueError, match="holds no image"):
        StepSampler(0, 4, 3, 0, 1)


@pytest.mark.parametrize("num_workers", [2, 4])
def test_batches_do_not_depend_on_the_number_of_workers(num_workers: int) -> None:
    for alone, helped in zip(collect(0, 5), collect(0, 5, num_workers=num_workers), strict=True):
        assert torch.equal(alone.image, helped.image)
        assert torch.equal(alone.mask, helped.mask)


def test_batches_of_a_step_do_not_depend_on_where_training_started() -> None:
    for early, late in zip(collect(0, 5)[3:], collect(3, 5), strict=True):
        assert torch.equal(early.image, late.image)
        assert torch.equal(early.mask, late.mask)


def test_sample_without_augmentation_is_the_image_itself() -> None:
    image, mask = make_dataset(flip=False, colour_jitter=0)[(0, 2)]
    assert torch.equal(image, to_float(IMAGES[2]))
    assert mask.shape == (1, 16, 16)
    assert set(mask.unique().tolist()) == {0.0, 1.0}


def test_flip_mirrors_about_half_of_the_samples() -> None:
    dataset = make_dataset(colour_jitter=0)
    mirrored = to_float(IMAGES[1]).flip(-1)
    count = sum(torch.equal(dataset[(epoch, 1)][0], mirrored) for epoch in range(200))
    assert 70 <= count <= 130


def test_quarter_turns_are_all_drawn() -> None:
    dataset = make_dataset(flip=False, quarter_turns=True, colour_jitter=0)
    turned = [to_float(np.rot90(IMAGES[1], turns)) for turns in range(4)]
    counts = [sum(torch.equal(dataset[(epoch, 1)][0], image) for epoch in range(200)) for image in turned]
    assert sum(counts) == 200
    assert min(counts) >= 30


def test_jitter_stays_in_range_and_near_the_image() -> None:
    image = to_float(IMAGES[0])
    jittered = jitter_colours(image, 0.05, np.random.default_rng(0))
    assert jittered.min() >= -1
    assert jittered.max() <= 1
    assert 0 < (jittered - image).abs().max() < 0.5


def test_jitter_of_a_grey_picture_keeps_it_grey() -> None:
    grey = torch.full((3, 8, 8), 0.2)
    jittered = jitter_colours(grey, 0.3, np.random.default_rng(1))
    assert torch.allclose(jittered, jittered[:1].expand(3, 8, 8), atol=1e-6)


def test_jitter_has_the_same_bits_with_any_number_of_threads() -> None:
    """Or a loader process, which has one, would make other batches than the training process."""
    image = to_float(np.random.default_rng(0).integers(0, 256, (256, 256, 3), dtype=np.uint8))
    threads, jittered = torch.get_num_threads(), []
    try:
        for count in (1, 2, 4):
            torch.set_num_threads(count)
            jittered.append(jitter_colours(image, 0.1, np.random.default_rng(1)))
            assert torch.get_num_threads() == count
    finally:
        torch.set_num_threads(threads)
    assert torch.equal(jittered[0], jittered[1])
    assert torch.equal(jittered[0], jittered[2])


@pytest.fixture
def spawned() -> Iterator[None]:
    """Processes are spawned, as on macOS and in later Pythons, where they are forked today."""
    before = multiprocessing.get_start_method(allow_none=True)
    multiprocessing.set_start_method("spawn", force=True)
    yield
    multiprocessing.set_start_method(before, force=True)


class Drawn(Sequence[Picture]):
    """Pictures that are made when they are asked for, as shards read theirs; at module level, so that it pickles."""

    def __len__(self) -> int:
        return len(IMAGES)

    def __getitem__(self, index: Any) -> Picture:
        return IMAGES[index]


@pytest.mark.usefixtures("spawned")
def test_spawned_workers_give_the_same_batches() -> None:
    lazy = InpaintingDataset(Drawn(), 3, True, False, 0.1, rotated_square)
    spawned = list(batches(lazy, StepSampler(len(lazy), 4, 3, 0, 3), 2, CPU))
    for alone, helped in zip(collect(0, 3), spawned, strict=True):
        assert torch.equal(alone.image, helped.image)
        assert torch.equal(alone.mask, helped.mask)


@pytest.mark.parametrize("mask_function", [rotated_square, jittered_box, box_and_free_form])
def test_a_worker_is_sent_no_pictures(mask_function) -> None:
    dataset = InpaintingDataset(Drawn(), 3, True, False, 0.1, mask_function)
    sent = pickle.dumps(dataset)
    assert len(sent) < 10_000
    for got, expected in zip(pickle.loads(sent)[(0, 2)], dataset[(0, 2)], strict=True):
        assert torch.equal(got, expected)


def test_windows_of_shards_are_shuffled_within_and_every_epoch_has_every_picture_once() -> None:
    shard_of = np.repeat(np.arange(6), 5)
    sampler = StepSampler(30, 7, 3, 0, 9, shard_of, window_shards=2)
    orders = [sampler.order(epoch) for epoch in range(3)]
    for order in orders:
        assert sorted(order) == list(range(30))
        for first in range(0, 30, 10):
            assert len(set(shard_of[order[first : first + 10]])) == 2
    assert not np.array_equal(orders[0], orders[1])
    assert list(sampler)[4:] == list(StepSampler(30, 7, 3, 4, 9, shard_of, 2))


@pytest.mark.parametrize(("device", "pinned"), [("cpu", False), ("cuda:0", True)])
def test_batches_are_pinned_for_cuda_alone(device: str, pinned: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the machine has: pinned memory is of no use to a training on the CPU, and wakes the GPU."""
    asked: list[bool] = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(module, "DataLoader", lambda *_, pin_memory, **__: asked.append(pin_memory) or [])
    batches(make_dataset(), StepSampler(7, 4, 3, 0, 1), 0, torch.device(device))
    assert asked == [pinned]
