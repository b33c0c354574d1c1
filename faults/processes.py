"""Starts what a trial needs, finds every process of it again by a mark in its environment, and ends them."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import psutil

from pipelines.process import environment

MARK = "PENNET_FAULTS"
COMMAND_SECONDS = 600.0
"""No command of a trial may take longer, however busy the machine is."""
_FOREIGN = ("PREFECT_", "MLFLOW_", "DVC_", "MAKE", "MFLAGS", MARK)


def start(folder: Path, command: Sequence[str], log: Path) -> subprocess.Popen[bytes]:
    """Starts a command in a session of its own; its output is appended to `log`."""
    kept = {name: value for name, value in environment().items() if not name.startswith(_FOREIGN)}
    scratch = log.parent / "tmp"  # what killed programs leave in the machine's temporary folder goes with the trial
    scratch.mkdir(exist_ok=True)
    with log.open("ab") as output:
        return subprocess.Popen(
            list(command),
            cwd=folder,
            env=kept
            | {
                MARK: str(folder),
                "TMPDIR": str(scratch),
                "DVC_NO_ANALYTICS": "1",
                "DVC_SITE_CACHE_DIR": str(scratch / "dvc"),
                "MLFLOW_DISABLE_TELEMETRY": "true",
                "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
                "DO_NOT_TRACK": "true",
            },
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def run(folder: Path, command: Sequence[str], log: Path) -> int:
    """Runs a command to its end and returns its exit status; 124 where it had to be ended."""
    process = start(folder, command, log)
    return wait(process, COMMAND_SECONDS, folder)


def wait(process: subprocess.Popen[bytes], seconds: float, folder: Path) -> int:
    """The exit status; 124 where the process and all others of its folder had to be ended."""
    try:
        return process.wait(seconds)
    except subprocess.TimeoutExpired:
        end_all(folder)
        process.wait(30)
        return 124


def processes_of(folder: Path, and_below: bool = False) -> list[psutil.Process]:
    """Every living process that was started for a folder, or also for one below it, the oldest first."""
    found = []
    for process in psutil.process_iter():
        try:
            mark = process.environ().get(MARK, "")
            is_ours = mark == str(folder) or (and_below and mark.startswith(f"{folder}/"))
            if is_ours and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except psutil.Error:  # it has ended, or is somebody else's
            continue
    return sorted(found, key=lambda process: (process.create_time(), process.pid))


def end_all(folder: Path, and_below: bool = False, patience_seconds: float = 10.0) -> None:
    """SIGKILL, until none is left: one that was just being started comes into sight late."""
    deadline = time.monotonic() + patience_seconds
    while (alive := processes_of(folder, and_below)) and time.monotonic() < deadline:
        for process in alive:
            send(process.pid, signal.SIGKILL)
        time.sleep(0.05)


def send(pid: int, signum: signal.Signals, group: bool = False) -> None:
    with contextlib.suppress(ProcessLookupError):  # it has ended by itself
        (os.killpg if group else os.kill)(pid, signum)


def gone_within(folder: Path, seconds: float) -> list[str]:
    """The command lines of the processes of a folder that are still there after so many seconds."""
    deadline = time.monotonic() + seconds
    while (alive := processes_of(folder)) and time.monotonic() < deadline:
        time.sleep(0.2)
    lines = []
    for process in alive:
        try:
            lines.append(" ".join(process.cmdline()))
        except psutil.Error:
            continue
    return lines


def scratch_folder() -> Path:
    return Path(tempfile.mkdtemp(prefix="pennet-faults-"))
