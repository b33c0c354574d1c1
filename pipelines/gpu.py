"""A GPU of its own for each training of this machine: one file lock a device, which the kernel frees with its holder."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO

from pipelines.running.waiting import SAY_AGAIN_SECONDS, RunEnded, ended

DEVICES_VARIABLE = "CUDA_VISIBLE_DEVICES"
_LIST_SECONDS = 30
_POLL_SECONDS = 1.0
_GPU_LINE = re.compile(r"^GPU .*\(UUID: (GPU-[^)]+)\)")
_MIG_LINE = re.compile(r"^\s+MIG .*\(UUID: (MIG-[^)]+)\)")


@contextlib.contextmanager
def own_gpu(device: str, devices: Sequence[str]) -> Iterator[dict[str, str]]:
    """Holds a GPU that no other training on this machine holds, and waits for one if all are held.

    Args:
        device: `runtime.device`: `auto` and `cuda` take any GPU, `cuda:N` takes the N-th, `cpu` takes none.
        devices: the GPUs there are, as `CUDA_VISIBLE_DEVICES` names them: `visible_gpus()`.

    Yields:
        Environment variables for the training; none where it needs no GPU or there is none.

    Raises:
        RunEnded: the run ended while it waited.
    """
    kind, _, index = device.partition(":")
    wanted = devices[int(index) : int(index) + 1] if index else devices
    if kind == "cpu" or not wanted:
        yield {}
        return
    name, lock = _first_free(wanted)
    with lock:  # closing it frees it
        yield {DEVICES_VARIABLE: ",".join(devices) if index else name}  # an index counts among all of them


def visible_gpus() -> list[str]:
    """The GPUs that a training may use: those of `CUDA_VISIBLE_DEVICES` if the user has set it, else all of this machine."""
    if DEVICES_VARIABLE in os.environ:
        names = [name.strip() for name in os.environ[DEVICES_VARIABLE].split(",")]
        ends = [place for place, name in enumerate(names) if name in ("", "-1", "NoDevFiles")]  # CUDA stops reading there
        return names[: ends[0]] if ends else names
    if not (program := shutil.which("nvidia-smi")):
        return []
    try:
        listed = subprocess.run([program, "-L"], capture_output=True, text=True, timeout=_LIST_SECONDS, check=False).stdout
    except subprocess.TimeoutExpired:  # a driver that hangs; the training will say so
        return []
    return listed_gpus(listed)


def listed_gpus(listing: str) -> list[str]:
    """UUIDs from `nvidia-smi -L`: they mean the same whatever order CUDA counts in. A GPU cut by MIG is its instances."""
    found: list[list[str]] = []
    for line in listing.splitlines():
        if gpu := _GPU_LINE.match(line):
            found.append([gpu[1]])
        elif (instance := _MIG_LINE.match(line)) and found:
            found[-1].append(instance[1])
    return [uuid for gpu, *instances in found for uuid in instances or [gpu]]


def _first_free(devices: Sequence[str]) -> tuple[str, IO[str]]:
    say_next = time.monotonic()
    while True:
        for name in devices:
            if lock := _try_lock(name):
                return name, lock
        if time.monotonic() >= say_next:
            print(f"waiting for a GPU: {', '.join(devices)} held by other trainings of this machine", flush=True)
            say_next = time.monotonic() + SAY_AGAIN_SECONDS
        if ended.wait(_POLL_SECONDS):
            raise RunEnded("the run was ended while it waited for a GPU")


def _try_lock(device: str) -> IO[str] | None:
    """The open lock file of a device, or None while another process (or thread) holds it."""
    import fcntl

    path = Path(tempfile.gettempdir()) / f"pennet-gpu-{device.replace('/', '_')}.lock"
    try:
        file = path.open() if path.exists() else path.open("a")  # another user's can be read, which is enough to lock it
    except OSError as error:
        raise OSError(f"{path}: {error.strerror}; it keeps two trainings from one GPU, make it readable") from error
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        return None
    return file
