"""Where and how a command computes."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated

from pydantic import NonNegativeInt, PositiveInt

from pennet.config.section import DEVICE_PATTERN, Limits, Section, checked


@dataclass(frozen=True)
class RuntimeConfig(Section):
    """Where and how to run. What changes the bits of a training is part of its identity; the others change no result."""

    device: Annotated[str, checked(re.compile(DEVICE_PATTERN).fullmatch, "is not auto, cpu, cuda or cuda:N")]
    """`auto` (CUDA if there is one), `cpu`, `cuda` or `cuda:N`. The kind, CPU or CUDA, is part of a training's identity."""
    num_threads: PositiveInt
    """CPU threads of torch, in each process. Part of a training's identity: the order of a sum, hence its last bits, depends
    on it."""
    num_processes: PositiveInt
    """Processes of this machine that share a training, each with a GPU of its own (or on CPUs) and an equal part of
    `train.batch_size`. The result is the same but for rounding, and a checkpoint fits any number: no part of a training's
    identity (docs/decisions/0024)."""
    num_workers: NonNegativeInt
    """Processes that load training images for each one that trains; 0 loads them in that one. Changes no result."""
    dask: str
    """Address of the scheduler of a Dask cluster, such as `tcp://host:8786`; empty: the cores of this machine. It decodes
    pictures in stage `prepare`, and in `evaluate` scores images and extracts features: for that the project's folder must be
    on a file system that all its machines have under the same path. Changes no result."""
    deterministic: bool
    """Only kernels that repeat their bits (CUDA; on a CPU they always do). Part of a training's identity."""
    tf32: bool
    """TensorFloat-32 products and convolutions on CUDA: 10 bits of mantissa. Part of a training's identity."""
    cudnn_benchmark: bool
    """cuDNN tries its algorithms and keeps the fastest, which may differ from run to run. Part of a training's identity."""

    def limits(self) -> Limits:
        yield (
            not (self.deterministic and self.cudnn_benchmark),
            "cudnn_benchmark",
            "with runtime.deterministic: true would choose kernels anew in every run; set one of them to false",
        )
        yield (
            self.num_processes == 1 or ":" not in self.device,
            "num_processes",
            f"needs as many GPUs, and runtime.device: {self.device} is one; set that to cuda or auto",
        )
