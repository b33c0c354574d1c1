"""Everything random starts from one seed."""

from __future__ import annotations

import re

import torch

from pennet.config import DEVICE_PATTERN
from pennet.errors import UserError


def seed_everything(seed: int, num_threads: int) -> None:
    """Seeds torch and fixes its CPU threads: the order of a sum, hence its last bits, depends on their number.

    Data order, augmentation and masks need no global state: each draws from a generator of its own (`pennet.data`).
    """
    torch.manual_seed(seed)
    torch.set_num_threads(num_threads)


def choose_device(name: str) -> torch.device:
    """`auto` is CUDA where there is one, else the CPU; `cpu`, `cuda` and `cuda:N` are taken literally.

    Raises:
        UserError: CUDA is asked for and there is none, or none of that number; or another name.
    """
    if not re.fullmatch(DEVICE_PATTERN, name):
        raise UserError(f"runtime.device: {name!r} is not auto, cpu, cuda or cuda:N")
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if name.startswith("cuda") and not torch.cuda.is_available():
        raise UserError(f"runtime.device: {name!r}, but this machine has no usable CUDA device; use auto or cpu")
    if ":" in name and int(name.partition(":")[2]) >= torch.cuda.device_count():
        last = torch.cuda.device_count() - 1
        raise UserError(f"runtime.device: {name!r}, but this machine's last CUDA device is cuda:{last}; use that or less")
    return torch.device(name)
