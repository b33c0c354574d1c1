"""Everything random starts from one seed."""

from __future__ import annotations

import torch


def seed_everything(seed: int, num_threads: int) -> None:
    """Seeds torch and fixes its CPU threads: the order of a sum, hence its last bits, depends on their number.

    Data order, augmentation and masks need no global state: each draws from a generator of its own (`pennet.data`).
    """
    torch.manual_seed(seed)
    torch.set_num_threads(num_threads)


def choose_device(name: str) -> torch.device:
    """`auto` is CUDA where there is one, else the CPU; anything else is taken literally.

    Raises:
        ValueError: CUDA is asked for and there is none, or the name is unknown.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise ValueError(f"runtime.device: {name!r} is not auto, cpu, cuda or cuda:N") from error
    if device.type == "cuda" and not torch.cuda.is_available():
        raise ValueError(f"runtime.device: {name!r}, but this machine has no usable CUDA device; use auto or cpu")
    return device
