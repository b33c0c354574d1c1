"""Small disks: one that is full at some point, one that cannot be written. Both are a tmpfs, which only root can mount."""

from __future__ import annotations

import contextlib
import os
import random
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from faults.processes import run
from faults.projects import STORE, TRIAL, copy
from faults.trials import Experiment, Loss, Reference, dvc, finish, last_line

ROOM_BYTES = 256 << 20
SAYS_FULL = re.compile(r"no space left|disk( is)? full|disk quota", re.IGNORECASE)
SAYS_READ_ONLY = re.compile(
    r"read-?only|cannot be written|permission denied|not a folder that can be written", re.IGNORECASE
)
LAST_LINES = 3
"""Of the output, in which the reason must be: DVC adds words of its own after it."""
TRACEBACK = "Traceback (most recent call last)"


def cannot_mount() -> str:
    """Why no tmpfs can be mounted here; empty if one can."""
    if sys.platform != "linux":
        return "needs Linux to mount a tmpfs"
    if os.geteuid() != 0:
        return "needs root to mount a tmpfs"
    return ""


@contextlib.contextmanager
def small_disk(folder: Path) -> Iterator[Disk]:
    folder.mkdir(parents=True, exist_ok=True)
    disk = Disk(folder)
    disk._mount(f"size={ROOM_BYTES}")
    try:
        yield disk
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=False, timeout=60)


class Disk:
    """A tmpfs of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def leave(self, free_bytes: int) -> None:
        """Makes it so small that so much is free."""
        used = ROOM_BYTES - os.statvfs(self.folder).f_bavail * os.statvfs(self.folder).f_bsize
        self._mount(f"remount,size={used + free_bytes}")

    def make_room(self) -> None:
        self._mount(f"remount,size={ROOM_BYTES}")

    def set_writable(self, writable: bool) -> None:
        self._mount(f"remount,{'rw' if writable else 'ro'}")

    def _mount(self, options: str) -> None:
        subprocess.run(["mount", "-t", "tmpfs", "-o", options, "pennet-faults", str(self.folder)], check=True, timeout=60)


def full(experiment: Experiment, expected: Reference, trial: Path, number: int, seed: int) -> Loss:
    """One trial: the command on a disk that is full before it is done; then there is room, and it is run again."""
    rng = random.Random(f"{seed} {experiment.name} full {number}")
    free = int(rng.uniform(0, 0.9) * expected.bytes_written)
    log = trial / "log"
    with small_disk(trial / "project") as disk:
        folder = copy(experiment.template(), disk.folder)
        disk.leave(free)
        status = run(folder, experiment.command, log)
        output = log.read_text(errors="replace")
        said = f"{free >> 10} KiB free"
        problems = []
        if TRACEBACK in output:
            problems.append(f"{output.count(TRACEBACK)} tracebacks")
        if status and not SAYS_FULL.search(_last_lines(output)):
            problems.append("no message says that the disk is full")
        disk.make_room()
        problems += finish(experiment, expected, folder, log)
        if problems:  # the disk goes
            copy(folder, trial / "kept")
    return Loss(said, problems)


def _last_lines(output: str) -> str:
    """Those that are not empty; a progress bar that ends late is one."""
    return "\n".join([line for line in output.splitlines() if line.strip()][-LAST_LINES:])


def read_only(experiment: Experiment, expected: Reference, trial: Path, number: int, seed: int) -> Loss:
    """One trial: a training and its record while the store cannot be written, empty or begun; then it can be again.

    The training must succeed and warn, the record must end in one message.
    """
    log = trial / "log"
    folder = copy(experiment.template(), trial / "project")
    problems = []
    with small_disk(folder / STORE) as disk:
        if number % 2 and run(folder, experiment.command, log):
            return Loss("begun", [f"the record could not be begun: {last_line(log)}"])
        for result in ("models", "checkpoints"):
            shutil.rmtree(folder / result)
        disk.set_writable(False)
        for command in (dvc("repro", TRIAL), experiment.command):
            before = log.stat().st_size if log.exists() else 0
            status = run(folder, command, log)
            output = log.read_text(errors="replace")[before:]
            name, is_training = " ".join(command[-2:]), command != experiment.command
            if is_training and status:
                problems.append(f"{name} ended with exit status {status}")
            if TRACEBACK in output:
                problems.append(f"{name}: {output.count(TRACEBACK)} tracebacks")
            if (is_training or status) and not SAYS_READ_ONLY.search(output):
                problems.append(f"{name}: no message says that the store cannot be written")
        disk.set_writable(True)
        problems += finish(experiment, expected, folder, log)
        if problems:
            copy(folder, trial / "kept")
    return Loss("a store that was begun" if number % 2 else "an empty store", problems)
