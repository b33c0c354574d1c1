import numpy as np
import pytest
import torch

from pennet.data.dataset import Batch, InpaintingDataset, StepSampler, batches, jitter_colours
from pennet.data.images import to_float
from pennet.masks.rotated_square import rotated_square

IMAGES = np.random.default_rng(0).integers(0, 256, (7, 16, 16, 3), dtype=np.uint8)


def make_dataset(flip: bool = True, quarter_turns: bool = False, colour_jitter: float = 0.1) -> InpaintingDataset:
    return InpaintingDataset(IMAGES, 3, flip, quarter_turns, colour_jitter, rotated_square)


def collect(first_step: int, last_step: int, num_workers: int = 0) -> list[Batch]:
    return list(batches(make_dataset(), StepSampler(7, 4, 3, first_step, last_step), num_workers))


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


def test_batches_do_not_depend_on_the_number_of_workers() -> None:
    for alone, helped in zip(collect(0, 3), collect(0, 3, num_workers=2), strict=True):
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
