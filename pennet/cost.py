"""What a training cost, the other half of a fair comparison: what is the same on every machine, and what is its own."""

from __future__ import annotations

import json
import math
import sys
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import nn

from pennet.atomic import write_json
from pennet.errors import UserError

_STATUS = Path("/proc/self/status")

Record = TypeVar("Record", "Cost", "Timing")


@dataclass(frozen=True)
class Cost:
    """What one training was given: the same wherever it runs."""

    parameters: int
    """Of the generator."""
    training_parameters: int
    """Of all networks that were trained, discriminators included."""
    steps: int
    """Generator updates."""
    budget: str
    """What set the steps: `steps` (the same number for every method) or `minutes` (the same wall time)."""
    minutes: float
    """Of the budget; 0 where it was one of steps."""


@dataclass(frozen=True)
class Timing:
    """What one training took on the machine that ran it, all its interrupted parts together."""

    seconds: float
    """Wall time of the updates, with their data, samples and checkpoints."""
    images_per_second: float
    """Images of the generator's own batches."""
    peak_memory_mib: float | None
    """Of the first process. On CUDA the most the allocator held; on a CPU the most memory the process had, the interpreter
    included; null where the system does not say."""
    device: str
    """`cpu` or the GPU's name."""
    num_threads: int
    """CPU threads of torch, in each process."""
    torch: str
    """Its version."""
    processes: list[int] = field(default_factory=lambda: [1])
    """How many shared the training; several numbers where an interrupted one went on with another number of them."""


def count_parameters(*networks: nn.Module) -> int:
    return sum(parameter.numel() for network in networks for parameter in network.parameters())


def peak_memory_mib(device: torch.device) -> float:
    """Peak memory of this process so far, in MiB: the allocator's on CUDA, the resident set's on a CPU.

    NaN on a CPU where the system does not say (Windows).
    """
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    try:  # Linux: `getrusage` would count what the process that started this one had, if that was more
        return int(_STATUS.read_text().partition("VmHWM:")[2].split()[0]) / 2**10
    except (OSError, IndexError):
        pass
    try:
        import resource
    except ModuleNotFoundError:
        return math.nan
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)  # macOS counts bytes, others KiB


def device_name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


def write_cost(path: Path, cost: Cost) -> None:
    write_json(path, asdict(cost))


def read_cost(path: Path) -> Cost:
    """Reads what `write_cost` wrote.

    Raises:
        UserError: the file is missing or of another form.
    """
    return _read(path, Cost, "cost")


def write_timing(path: Path, timing: Timing) -> None:
    write_json(path, asdict(timing))


def read_timing(path: Path) -> Timing:
    """Reads what `write_timing` wrote.

    Raises:
        UserError: the file is missing or of another form.
    """
    return _read(path, Timing, "timing")


def _read(path: Path, kind: type[Record], name: str) -> Record:
    try:
        values: dict[str, Any] = json.loads(path.read_text())
        return kind(**values)
    except FileNotFoundError as error:
        raise UserError(f"{path} is missing; run the train stage first") from error
    except (json.JSONDecodeError, TypeError) as error:
        raise UserError(f"{path} holds no training {name} ({error}); run the train stage again") from error
