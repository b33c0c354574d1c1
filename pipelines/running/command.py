"""One child process with its output in the run's log, which ends when it should: with the run, or at its time limit."""

from __future__ import annotations

import contextvars
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from pennet.errors import UserError
from pipelines.params import FINAL, REASON_VARIABLE
from pipelines.process import TERMINATION_SECONDS, child
from pipelines.running.waiting import RunEnded, ended, wait_for_dvc, wait_while
from pipelines.workspace import check_workspace, rwlock_holders

BUSY = "is busy, it is being blocked by:"
"""DVC's words where another DVC command uses files of a stage; numbers and advice of its own follow."""
_BUSY_PID = re.compile(r"^\s*\(PID (\d+)\): ")
_NO_LOCK = "Unable to acquire lock"
"""DVC's words where it cannot read that list for three seconds (`--wait-for-lock` is of another lock)."""
_BEGUN = "Running stage "
_LOOK_SECONDS = 0.5


class StageError(UserError):
    """A stage failed, and would fail again."""


class TransientStageError(StageError):
    """A stage failed for a reason that may pass."""


class Busy(Exception):
    """Another DVC command uses files of the stage, which did not begin."""

    def __init__(self, pids: set[int]):
        self.pids = pids
        super().__init__(f"processes {pids}")


def reproduce(
    stage: str,
    folder: Path,
    hours: float,
    say: Callable[[str], None],
    *,
    variables: Mapping[str, str] | None = None,
    watch: Callable[[str], None] | None = None,
) -> None:
    """Runs one stage by `dvc repro --single-item` if it changed, when no other DVC command is in its way.

    Args:
        stage: as DVC calls it.
        folder: with `dvc.yaml`.
        hours: time limit of the stage; what it waited for other DVC commands is not counted.
        say: takes a line of the log.
        variables: more of its environment.
        watch: hears of each line that it prints.

    Raises:
        StageError, TransientStageError: see `run_logged`.
        UserError: another DVC command is in the way for too long.
    """
    command = [sys.executable, "-m", "dvc", "--wait-for-lock", "repro", "--single-item", stage]
    while True:
        wait_for_dvc(folder, stage, say)
        try:
            run_logged(command, stage, folder, hours, say, variables=variables, watch=watch)
        except Busy as busy:
            check_workspace(folder)  # takes the names of dead processes out of DVC's list
            wait_while(lambda pids=busy.pids: _of(pids, folder), stage, say)  # type: ignore[misc]
        else:
            return


def _of(pids: set[int], folder: Path) -> list[str]:
    return [f"process {pid}: {command}" for pid, command in rwlock_holders(folder).items() if pid in pids]


def run_logged(
    command: list[str],
    name: str,
    folder: Path,
    hours: float,
    say: Callable[[str], None],
    *,
    variables: Mapping[str, str] | None = None,
    watch: Callable[[str], None] | None = None,
) -> None:
    """Runs a command with its output in the log; whatever ends this function ends the command and its children.

    Raises:
        StageError: it failed, for a reason that it names itself, or did not end within `hours`.
        TransientStageError: it failed for a reason that may pass, or that it could not name.
        Busy: it is a DVC command, and another one uses the same files.
        RunEnded: the run ended meanwhile.
    """
    output = _Output(say, watch)
    deadline = time.monotonic() + hours * 3600
    with tempfile.TemporaryDirectory() as temporary:
        reason_file = Path(temporary) / "reason"
        more = {**(variables or {}), REASON_VARIABLE: str(reason_file)}
        with child(command, stdout=subprocess.PIPE, cwd=folder, variables=more) as process:
            context = contextvars.copy_context()  # Prefect finds there which run an artifact belongs to
            reader = threading.Thread(target=context.run, args=(output.read, process), daemon=True)
            reader.start()
            while process.poll() is None and not ended.is_set() and time.monotonic() < deadline:
                reader.join(_LOOK_SECONDS)
            status = process.poll()
            if status is not None:  # what it printed last; a child of its own may keep the pipe open
                reader.join(TERMINATION_SECONDS)
        reader.join(TERMINATION_SECONDS)
        if status is None and ended.is_set():
            raise RunEnded(f"{name}: the run was ended, and with it this command")
        if status is None:
            raise StageError(
                f"{name} did not end within {hours:g} hours and was stopped: {output.last_line or 'it printed nothing'};"
                " a training goes on from its checkpoint with the next run, parameter stage_hours allows more"
            )
        if not status:
            return
        kind, _, reason = reason_file.read_text().partition("\n") if reason_file.exists() else ("", "", "")
    if output.is_busy and not reason:
        raise Busy(output.busy_pids)
    error = StageError if kind == FINAL else TransientStageError
    reason = reason or f"{output.last_line}; its output is in the log above"
    raise error(f"{name} failed with exit status {status}: {reason}")


class _Output:
    """Takes the lines of a process; keeps DVC's advice to remove its lock file out of the log."""

    def __init__(self, say: Callable[[str], None], watch: Callable[[str], None] | None):
        self.say, self.watch = say, watch
        self.last_line = ""
        self.has_begun = self.is_busy = False
        self.busy_pids: set[int] = set()

    def read(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        for line in process.stdout:  # progress bars redraw with carriage returns: each redraw is a line here
            if not (text := line.rstrip()):
                continue
            self.has_begun |= text.startswith(_BEGUN)
            if text.startswith("ERROR: ") and not self.has_begun and (BUSY in text or _NO_LOCK in text):
                self.is_busy = True
            if self.is_busy:
                if match := _BUSY_PID.match(text):
                    self.busy_pids.add(int(match[1]))
                continue
            self.say(text)
            self.last_line = text
            if self.watch:
                self.watch(text)
