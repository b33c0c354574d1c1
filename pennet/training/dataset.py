"""Training batches that depend on nothing but the seed and the step: any run can go on from any step."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from pennet.errors import UserError
from pennet.images import Picture, to_float
from pennet.masks.mask import DrawMask
from pennet.training import processes

EpochAndIndex = tuple[int, int]


@dataclass(frozen=True)
class Batch:
    image: Tensor
    """(B, 3, H, W) in [-1, 1]."""
    mask: Tensor
    """(B, 1, H, W) in {0, 1}, 1 = hole."""

    def pin_memory(self) -> Batch:
        """Called by the loader where training is on CUDA: pinned memory is copied in the background."""
        return Batch(self.image.pin_memory(), self.mask.pin_memory())

    def to(self, device: torch.device) -> Batch:
        return Batch(self.image.to(device, non_blocking=True), self.mask.to(device, non_blocking=True))

    def chunk(self, parts: int) -> list[Batch]:
        """The batch in equal parts, in order."""
        return [Batch(*pair) for pair in zip(self.image.chunk(parts), self.mask.chunk(parts), strict=True)]


class InpaintingDataset(Dataset[tuple[Tensor, Tensor]]):
    """Augmented pictures with a fresh mask each; a sample is a function of (seed, epoch, index) alone.

    Args:
        pictures: uint8 (H, W, 3) by index: `Shards`, of which a loader process that is spawned gets the path and no picture;
            or an array (N, H, W, 3), for small sets.
        seed: of augmentation and masks.
        flip: mirror at random.
        quarter_turns: turn by a random multiple of 90°; needs square pictures.
        colour_jitter: j; brightness, contrast and saturation are each multiplied by U(1 - j, 1 + j).
        mask_function: (generator, height, width) -> mask; loader processes need one that can be pickled.
    """

    def __init__(
        self,
        pictures: Sequence[Picture] | Picture,
        seed: int,
        flip: bool,
        quarter_turns: bool,
        colour_jitter: float,
        mask_function: DrawMask,
    ):
        self.pictures = pictures
        self.seed = seed
        self.flip = flip
        self.quarter_turns = quarter_turns
        self.colour_jitter = colour_jitter
        self.mask_function = mask_function

    def __len__(self) -> int:
        return len(self.pictures)

    def __getitem__(self, key: EpochAndIndex) -> tuple[Tensor, Tensor]:
        """-> image (3, H, W) in [-1, 1], mask (1, H, W) in {0, 1}."""
        epoch, index = key
        rng = np.random.default_rng([self.seed, epoch, index])
        picture = self.pictures[index]
        if self.flip and rng.random() < 0.5:
            picture = picture[:, ::-1]
        if self.quarter_turns:
            picture = np.rot90(picture, int(rng.integers(4)))
        image = jitter_colours(to_float(picture), self.colour_jitter, rng)
        mask = self.mask_function(rng, *picture.shape[:2])
        return image, torch.from_numpy(mask[None].astype(np.float32))


def jitter_colours(image: Tensor, strength: float, rng: np.random.Generator) -> Tensor:
    """Multiplies brightness, contrast and saturation by U(1 - strength, 1 + strength): (3, H, W) in [-1, 1] -> the same."""
    if not strength:
        return image
    brightness, contrast, saturation = rng.uniform(1 - strength, 1 + strength, 3).tolist()
    unit = (image + 1) / 2 * brightness
    with _one_thread():  # as in a loader process: threads would add up a large picture in another order
        mean = _grey(unit).mean()
    unit = mean + contrast * (unit - mean)
    grey = _grey(unit)
    unit = grey + saturation * (unit - grey)
    return unit.clamp(0, 1) * 2 - 1


@contextmanager
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _grey(unit: Tensor) -> Tensor:
    """Luma of an RGB picture (ITU-R BT.601): (3, H, W) -> (1, H, W)."""
    return (unit * unit.new_tensor([0.299, 0.587, 0.114]).view(3, 1, 1)).sum(0, keepdim=True)


class StepSampler(Sampler[list[EpochAndIndex]]):
    """The samples of each step, from `first_step` (included, counted from 0) to `last_step` (excluded).

    Samples are drawn without end, epoch after epoch, each epoch in an order of its own; no partial batch is dropped. To
    begin at any step takes the order of one epoch and nothing before it. Where several processes share the training, each
    gets its part of every step.

    Args:
        num_images: of the training split.
        batch_size: samples of a step, of all processes together.
        seed: of the orders.
        first_step, last_step: which steps.
        shard_of: (N,) where each picture lies, and
        window_shards: how many shards are read at a time: whole shards are shuffled, then the pictures of each window of
            them, for disks that seek badly. 0 shuffles all pictures at once.
    """

    def __init__(
        self,
        num_images: int,
        batch_size: int,
        seed: int,
        first_step: int,
        last_step: int,
        shard_of: NDArray[np.integer[Any]] | None = None,
        window_shards: int = 0,
    ):
        if num_images < 1:
            raise UserError("the training split holds no image")
        self.num_images = num_images
        self.batch_size = batch_size
        self.seed = seed
        self.first_step = first_step
        self.last_step = last_step
        self.shard_of = shard_of
        self.window_shards = window_shards

    def __len__(self) -> int:
        return max(0, self.last_step - self.first_step)

    def __iter__(self) -> Iterator[list[EpochAndIndex]]:
        current, order = -1, np.empty(0, np.int64)
        for step in range(self.first_step, self.last_step):
            batch = []
            for position in range(step * self.batch_size, (step + 1) * self.batch_size):
                epoch, place = divmod(position, self.num_images)
                if epoch != current:
                    current, order = epoch, self.order(epoch)
                batch.append((epoch, int(order[place])))
            yield processes.own(batch)

    def order(self, epoch: int) -> NDArray[np.int64]:
        """The pictures of an epoch, each once."""
        rng = np.random.default_rng([self.seed, epoch])
        if self.shard_of is None or not self.window_shards:
            return rng.permutation(self.num_images)
        shards = rng.permutation(np.unique(self.shard_of))
        windows = (shards[first : first + self.window_shards] for first in range(0, len(shards), self.window_shards))
        return np.concatenate([rng.permutation(np.flatnonzero(np.isin(self.shard_of, window))) for window in windows])


def batches(dataset: InpaintingDataset, sampler: StepSampler, num_workers: int, device: torch.device) -> Iterator[Batch]:
    """The batches of the sampler's steps; their values do not depend on the number of workers.

    Args:
        dataset: what the sampler's samples are taken from.
        sampler: the steps.
        num_workers: loader processes; 0 loads in this one.
        device: where the training is; for CUDA the batches lie in pinned memory.
    """
    loader: DataLoader[Any] = DataLoader(
        dataset,
        batch_sampler=sampler,
        num_workers=num_workers,
        collate_fn=_collate,
        pin_memory=device.type == "cuda",
        persistent_workers=num_workers > 0,
    )
    return iter(loader)


def _collate(samples: list[tuple[Tensor, Tensor]]) -> Batch:
    images, masks = zip(*samples, strict=True)
    return Batch(torch.stack(images), torch.stack(masks))
