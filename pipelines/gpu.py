"""GPUs of its own for each training of this machine: one file lock a device, which the kernel frees with its holder."""

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

from pennet.errors import UserError
from pipelines.running.waiting import SAY_AGAIN_SECONDS, RunEnded, ended

DEVICES_VARIABLE = "CUDA_VISIBLE_DEVICES"
_LIST_SECONDS = 30
_POLL_SECONDS = 1.0
_GPU_LINE = re.compile(r"^GPU .*\(UUID: (GPU-[^)]+)\)")
_MIG_LINE = re.compile(r"^\s+MIG .*\(UUID: (MIG-[^)]+)\)")


@contextlib.contextmanager
def own_gpu(device: str, devices: Sequence[str], num_processes: int = 1) -> Iterator[dict[str, str]]:
    """Holds a GPU for each process of a training that no other training on this machine holds, and waits for that many.

    It takes all of them at once or none: two trainings that wait never hold what the other one waits for.

    Args:
        device: `runtime.device`: `auto` and `cuda` take any GPU, `cuda:N` takes the N-th, `cpu` takes none.
        devices: the GPUs there are, as `CUDA_VISIBLE_DEVICES` names them: `visible_gpus()`.
        num_processes: `runtime.num_processes`.

    Yields:
        Environment variables for the training; none where it needs no GPU or there is none.

    Raises:
        UserError: there are fewer GPUs than processes.
        RunEnded: the run ended while it waited.
    """
    kind, _, index = device.partition(":")
    wanted = devices[int(index) : int(index) + 1] if index else devices
    if kind == "cpu" or not wanted:
        yield {}
        return
    if num_processes > len(wanted):
        raise UserError(
            f"runtime.num_processes: {num_processes} need a GPU each, and there are {len(wanted)} ({', '.join(wanted)});"
            f" set it to {len(wanted)} or less"
        )
    with contextlib.ExitStack() as held:  # closing a lock frees it
        names = _free(wanted, num_processes, held)
        yield {DEVICES_VARIABLE: ",".join(devices if index else names)}  # an index counts among all of them


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


def _free(devices: Sequence[str], number: int, held: contextlib.ExitStack) -> list[str]:
    """The first `number` devices that nobody holds, once there are that many; their locks are in `held` then."""
    import fcntl

    say_next = time.monotonic()
    while True:
        with _lock_file("choice") as choice, contextlib.ExitStack() as taken:
            fcntl.flock(choice, fcntl.LOCK_EX)  # or two that look at once could take half each and let go, for ever
            names: list[str] = []
            for name in devices:
                if len(names) < number and (lock := _try_lock(name)):
                    names.append(name)
                    taken.enter_context(lock)
            if len(names) == number:
                held.enter_context(taken.pop_all())
                return names
        if time.monotonic() >= say_next:
            what = "a GPU" if number == 1 else f"{number} GPUs"
            print(f"waiting for {what}: {', '.join(devices)} held by other trainings of this machine", flush=True)
            say_next = time.monotonic() + SAY_AGAIN_SECONDS
        if ended.wait(_POLL_SECONDS):
            raise RunEnded("the run was ended while it waited for a GPU")


def _try_lock(device: str) -> IO[str] | None:
    """The open lock file of a device, or None while another process (or thread) holds it."""
    import fcntl

    file = _lock_file(device)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        return None
    return file


def _lock_file(name: str) -> IO[str]:
    path = Path(tempfile.gettempdir()) / f"pennet-gpu-{name.replace('/', '_')}.lock"
    try:
        return path.open() if path.exists() else path.open("a")  # another user's can be read, which is enough to lock it
    except OSError as error:
        raise OSError(f"{path}: {error.strerror}; it keeps two trainings from one GPU, make it readable") from error
