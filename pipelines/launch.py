"""Starts the processes that share a training on this machine, through torchrun's own launcher; tells of a failure once."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from pennet.errors import UserError

if TYPE_CHECKING:
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError

SHUTDOWN_SECONDS = 15
"""What the others get to end in when one has failed: the first one closes its record."""
MENDABLE, LOST = 65, 75
"""Exit status of a process that met what a user can mend, and of one whose only trouble is that another has ended."""
LOGS_FOLDER = "processes"
"""Beside the checkpoints: what all processes but the first printed, of the last start."""


def launch(module: str, arguments: Sequence[object], number: int, checkpoints_dir: Path) -> None:
    """Runs `python -m MODULE ARGUMENTS` in several processes of this machine; returns when all are done.

    The first prints here, the others into files beside the checkpoints. When one fails, the others are ended; whatever ends
    this process ends them all.

    Raises:
        UserError: one failed; says which and why, and from where a new run goes on.
        SystemExit: this process was told to end.
    """
    import logging

    from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs, SignalException, Std
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    logs_dir = checkpoints_dir / LOGS_FOLDER
    shutil.rmtree(logs_dir, ignore_errors=True)
    logging.disable()  # torchrun's own account of a failure, a page long; ours follows
    if sys.platform == "linux":
        os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")  # nobody outside of this machine takes part
    config = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=number,
        logs_specs=DefaultLogsSpecs(str(logs_dir), redirects=dict.fromkeys(range(1, number), Std.ALL)),
        run_id="training",
        rdzv_backend="c10d",
        rdzv_endpoint="localhost:0",
        local_addr="localhost",
        max_restarts=0,
        shutdown_timeout=SHUTDOWN_SECONDS,
    )
    try:
        elastic_launch(config, sys.executable)("-m", module, *arguments)
    except SignalException as error:
        sys.exit(128 + error.sigval)
    except ChildFailedError as error:
        raise UserError(f"{_failure(error, number, logs_dir)}; {_how_to_go_on(checkpoints_dir)}") from error


@contextmanager
def reporting() -> Iterator[None]:
    """What a training does its work in: a memory that is full ends it with one message.

    A process that was started with others also leaves why it failed to who started it, silently, and ends when its parent
    does.

    Raises:
        UserError: the memory of the device is full.
    """
    from torch.distributed.elastic.multiprocessing.errors import get_error_handler

    from pennet.training.processes import ProcessLost, is_started_with_others

    if not is_started_with_others():
        with _telling_of_memory():
            yield
        return
    threading.Thread(target=_end_after, args=(os.getppid(),), daemon=True).start()
    try:
        with _telling_of_memory():
            yield
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)
    except Exception as error:
        get_error_handler().record_exception(error)
        if isinstance(error, UserError | OSError):
            signal.signal(signal.SIGTERM, signal.SIG_IGN)  # torchrun's, which may come while Python ends
            sys.exit(LOST if isinstance(error, ProcessLost) else MENDABLE)
        raise  # a bug: Python prints its traceback


@contextmanager
def _telling_of_memory() -> Iterator[None]:
    import torch

    try:
        yield
    except torch.OutOfMemoryError as error:
        reason = str(error).partition(". If reserved")[0].splitlines()[0]
        remedy = (
            "docs/runbook.md says which parameters to turn: train.mixed_precision, runtime.num_processes, train.batch_size"
        )
        raise UserError(f"{reason}; {remedy}") from error


def _end_after(parent: int) -> None:
    """torchrun gives each process a session of its own, so no signal to the stage's group reaches it."""
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)


def _failure(error: ChildFailedError, number: int, logs_dir: Path) -> str:
    """Which process failed first, and why."""
    own_trouble = [rank for rank, failure in error.failures.items() if failure.exitcode != LOST]
    rank = own_trouble[0] if own_trouble else error.get_first_failure()[0]
    failure = error.failures[rank]
    who = f"process {rank} (of {number}, counted from 0)"
    recorded = failure.message["message"] if isinstance(failure.message, dict) else ""  # TYPE: TEXT
    if failure.exitcode in (MENDABLE, LOST):
        return recorded.partition(": ")[2]
    logs = sorted(logs_dir.glob(f"*/*/{rank}/stderr.log"))
    where = f"its output is in {logs[-1]}" if logs else "its output is above"
    if recorded:
        return f"{who} failed with {recorded}; {where}"
    status = failure.exitcode
    if status < 0 or status > 128:
        name = signal.Signals(-status if status < 0 else status - 128).name
        guess = ", as the system does when memory runs out" if name == "SIGKILL" else ""
        return f"{who} was ended by {name}{guess}; {where}"
    return f"{who} ended with exit status {status}; {where}"


def _how_to_go_on(checkpoints_dir: Path) -> str:
    from pennet.training.checkpoint import checkpoint_paths

    saved = checkpoint_paths(checkpoints_dir)
    return f"a new run goes on from {saved[-1]}" if saved else "there is no checkpoint yet, a new run begins anew"
