"""What the bits of a result depend on beside code, parameters and data: seed, device, threads and precision."""

from __future__ import annotations

import os
import re

import torch

from pennet.config import DEVICE_PATTERN, RuntimeConfig
from pennet.errors import UserError

CUBLAS_WORKSPACE = "CUBLAS_WORKSPACE_CONFIG"
REPEATABLE_WORKSPACES = (":4096:8", ":16:8")
"""The two with which cuBLAS repeats its bits; the first is the faster one and takes 24 MiB."""


def seed_everything(seed: int) -> None:
    """Seeds torch, on the CPU and on all GPUs.

    Data order, augmentation and masks need no global state: each draws from a generator of its own (`pennet.data`).
    """
    torch.manual_seed(seed)


def apply_runtime(runtime: RuntimeConfig) -> torch.device:
    """Makes torch compute as `runtime` says, for the rest of this process, and returns the device.

    To be called before anything is computed. `deterministic`, `tf32` and `cudnn_benchmark` act on CUDA alone; on a CPU
    torch is left at its defaults, so that they cannot change a bit there.

    Raises:
        UserError: a device that this machine has not; or what makes cuBLAS repeat its bits can no longer be set.
    """
    device = choose_device(runtime.device)
    on_cuda = device.type == "cuda"
    torch.set_num_threads(runtime.num_threads)
    if on_cuda and runtime.deterministic:
        _fix_cublas_workspace()
    torch.use_deterministic_algorithms(on_cuda and runtime.deterministic)
    torch.backends.cudnn.deterministic = on_cuda and runtime.deterministic
    torch.backends.cudnn.benchmark = on_cuda and runtime.cudnn_benchmark
    precision = "tf32" if runtime.tf32 else "ieee"
    torch.backends.cuda.matmul.fp32_precision = precision
    torch.backends.cudnn.conv.fp32_precision = precision  # type: ignore[attr-defined]
    if on_cuda and device.index is not None:
        torch.cuda.set_device(device)  # otherwise pinned memory wakes the first GPU
    return device


def numerics(runtime: RuntimeConfig) -> dict[str, str]:
    """What `apply_runtime` leads to on this machine, for a training's identity: equal bits need equal values.

    On a CPU the choices that act on CUDA alone are left out, and so is torch's build (`+cpu`, `+cu130`): neither can
    change a bit there, and neither may split trainings that are the same.

    Raises:
        UserError: a device that this machine has not.
    """
    device, version = choose_device(runtime.device).type, str(torch.__version__)
    shared = {"numerics.device": device, "numerics.num_threads": str(runtime.num_threads)}
    if device == "cpu":
        return shared | {"numerics.torch": version.partition("+")[0]}
    choices = ("deterministic", "tf32", "cudnn_benchmark")
    return (
        shared | {"numerics.torch": version} | {f"numerics.{name}": str(getattr(runtime, name)).lower() for name in choices}
    )


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


def _fix_cublas_workspace() -> None:
    """cuBLAS reads the variable once, when it is first used."""
    chosen = os.environ.get(CUBLAS_WORKSPACE)
    if chosen is not None and chosen not in REPEATABLE_WORKSPACES:
        raise UserError(
            f"{CUBLAS_WORKSPACE}={chosen}: with runtime.deterministic: true it must be one of"
            f" {', '.join(REPEATABLE_WORKSPACES)}; unset it"
        )
    if chosen is None and torch.cuda.is_initialized():
        raise UserError(
            f"runtime.deterministic: true comes too late, CUDA already runs in this process; set {CUBLAS_WORKSPACE}="
            f"{REPEATABLE_WORKSPACES[0]} before it starts"
        )
    os.environ[CUBLAS_WORKSPACE] = chosen or REPEATABLE_WORKSPACES[0]
