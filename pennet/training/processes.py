"""The processes that share one training: each takes its part of every batch, and all make the same update.

The global batch decides what is learned, not how many share it: a loss is the mean over all parts, and so is its gradient.
Random numbers are drawn for the global batch in every process, which keeps its own part of them; so the random state of all
is the same, and the one that a process alone would have: a checkpoint fits any number of processes. A process that was not
started with others is alone: every function here then hands back what it is given, and no bit is another.

Why gradients are averaged here, and no network is wrapped: docs/decisions/0024-gradients-are-averaged.md.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn

from pennet.errors import UserError

Part = TypeVar("Part", Tensor, list[tuple[int, int]])


class ProcessLost(UserError):
    """Another process of this training has ended, so this one cannot go on."""


def is_started_with_others() -> bool:
    """Whether torchrun, or something like it, has started this process."""
    return dist.is_torchelastic_launched()


def own_device(name: str) -> str:
    """`runtime.device` of this process: where several on this machine train on CUDA, each has the GPU of its own number.

    Args:
        name: `cpu`, `cuda` or `cuda:N`.

    Raises:
        UserError: there are more processes than GPUs, or one GPU is named for all of them.
    """
    number_here = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    if not is_started_with_others() or not name.startswith("cuda"):
        return name
    if ":" in name and number_here > 1:
        raise UserError(f"runtime.device: {name!r} is one GPU for {number_here} processes; use cuda or auto")
    if (num_gpus := torch.cuda.device_count()) < number_here:
        raise UserError(
            f"runtime.num_processes: {number_here} processes on this machine need a GPU each, and it has {num_gpus};"
            f" set it to {num_gpus} or less"
        )
    return name if ":" in name else f"cuda:{os.environ['LOCAL_RANK']}"


@contextmanager
def joined(device: torch.device, batch_size: int) -> Iterator[None]:
    """Makes this process one of those that torchrun has started; alone it stays alone.

    After an exception the group is left as it is: the others may be gone, and this process is about to end.

    Args:
        device: where this process trains; NCCL connects GPUs, gloo connects CPUs.
        batch_size: of an update; the processes take equal parts of it.

    Raises:
        UserError: the batch has no equal parts for so many processes.
    """
    if not is_started_with_others():
        yield
        return
    if batch_size % (world_size := int(os.environ["WORLD_SIZE"])):
        raise UserError(
            f"train.batch_size: {batch_size} has no equal parts for {world_size} processes; choose a multiple of"
            " their number"
        )
    on_cuda = device.type == "cuda"
    dist.init_process_group("nccl" if on_cuda else "gloo", device_id=device if on_cuda else None)
    yield
    dist.destroy_process_group()


def number() -> int:
    """How many processes share this training; 1 for one that is alone."""
    return dist.get_world_size() if dist.is_initialized() else 1


def rank() -> int:
    """Which of them this one is, from 0."""
    return dist.get_rank() if dist.is_initialized() else 0


def is_first() -> bool:
    """Whether this is the one that writes files, records and shows progress."""
    return rank() == 0


def own(of_all: Part) -> Part:
    """This process's part of what belongs to the samples of a global batch: every `number()`-th of them.

    Of several batches one after the other it is a part of each, in their order, if the batch size divides by `number()`.
    """
    return of_all[rank() :: number()]


def average(value: Tensor) -> Tensor:
    """The mean of a value over all processes, without a gradient: any shape, the same in all of them -> the same.

    Raises:
        ProcessLost: another one has ended.
    """
    return value if number() == 1 else _averaged(value.detach().clone())


def average_gradients(parameters: Iterable[nn.Parameter], loss: Tensor) -> Tensor:
    """Gives the gradients of all processes' parts their mean, in place, and returns that of the loss.

    One message holds them all. A parameter without a gradient counts as one with zeros.

    Args:
        parameters: in the same order in all processes.
        loss: of this process's part, without a gradient.

    Raises:
        ProcessLost: another one has ended.
    """
    if number() == 1:
        return loss
    gradients = []
    for parameter in parameters:
        parameter.grad = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
        gradients.append(parameter.grad)
    mean_loss, *means = _averaged(torch.cat([loss.reshape(1), *(gradient.flatten() for gradient in gradients)])).split(
        [1, *(gradient.numel() for gradient in gradients)]
    )
    for gradient, mean in zip(gradients, means, strict=True):
        gradient.copy_(mean.view_as(gradient))
    return mean_loss.view_as(loss)


def agree(values: Tensor) -> bool:
    """Whether all processes hold the same numbers, bit for bit but for NaN, which agrees with nothing.

    Raises:
        ProcessLost: another one has ended.
    """
    if number() == 1:
        return True
    highest = torch.cat([values.flatten(), -values.flatten()])
    _reduce(highest, dist.ReduceOp.MAX)
    high, negative_low = highest.chunk(2)
    return bool((high == -negative_low).all())


def _averaged(value: Tensor) -> Tensor:
    _reduce(value, dist.ReduceOp.SUM)
    return value.div_(number())


def _reduce(value: Tensor, how: dist.ReduceOp.RedOpType) -> None:
    try:
        dist.all_reduce(value, how)
    except torch.OutOfMemoryError:
        raise
    except RuntimeError as error:  # what gloo and NCCL raise when a connection is closed
        first_sentence = str(error).partition(". ")[0]
        raise ProcessLost(f"another process of this training has ended ({first_sentence})") from error
