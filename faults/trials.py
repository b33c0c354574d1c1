"""An experiment: a command that is disturbed and then simply run again, and what must be there in the end."""

from __future__ import annotations

import random
import shutil
import signal
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path

from faults.processes import COMMAND_SECONDS, end_all, gone_within, processes_of, run, send, start, wait
from faults.projects import copy
from faults.results import Result, differences, paths
from pennet.errors import UserError

KINDS = ("kill all", "kill one", "kill first", "terminate", "interrupt")
"""SIGKILL to all processes, to one of them, to the first one; SIGTERM, SIGINT (Ctrl-C) to the group."""
TRIES, TRY_AGAIN_SECONDS = 5, 5.0
"""How often a command is run again until it succeeds: a process that outlived the fault may have to end first."""
SHOWN = 2
"""Of a trial's problems; all are in its folder."""
LEFT_SECONDS = 30.0
"""After the last command, when no process may be left."""


Beside = Callable[[Path, Path], AbstractContextManager[object]]
"""What runs at the same time, given the folder of the project and that of the trial."""


@dataclass(frozen=True)
class Experiment:
    """What is disturbed, from where it starts, and what it must lead to."""

    name: str
    template: Callable[[], Path]
    command: tuple[str, ...]
    result: Callable[[Path], Result]
    """What is compared, of a project."""
    after: tuple[tuple[str, ...], ...] = ()
    """Commands that follow, and must succeed the first time."""


@dataclass
class Row:
    """One line of the table."""

    fault: str
    trials: int = 0
    lost: list[str] = field(default_factory=list)
    """What each trial that lost something has lost."""
    skipped: str = ""


@dataclass(frozen=True)
class Loss:
    """What one trial has lost; nothing if there are no problems."""

    fault: str
    """What was done to it."""
    problems: list[str]

    def __str__(self) -> str:
        if not self.problems:
            return f"{self.fault}: nothing lost"
        more = f" (and {len(self.problems) - SHOWN} more)" if len(self.problems) > SHOWN else ""
        return f"{self.fault}: {'; '.join(self.problems[:SHOWN])}{more}"


@dataclass(frozen=True)
class Reference:
    seconds: float
    result: Result
    paths: set[str]
    bytes_written: int
    """By which the command has made the project grow."""


def dvc(*words: str) -> tuple[str, ...]:
    return (sys.executable, "-m", "dvc", *words)


def module(name: str) -> tuple[str, ...]:
    return (sys.executable, "-m", f"pipelines.{name}")


def nothing_beside(folder: Path, trial: Path) -> AbstractContextManager[object]:
    return nullcontext()


def reference(
    experiment: Experiment,
    workshop: Path,
    beside: Beside = nothing_beside,
) -> Reference:
    """The same without a fault.

    Args:
        experiment: what is run.
        workshop: below which folder.
        beside: what runs at the same time.

    Raises:
        UserError: a command fails even so.
    """
    trial = workshop / f"{experiment.name}-reference"
    folder, log = copy(experiment.template(), trial / "project"), trial / "log"
    before = size(folder)
    with beside(folder, trial):
        started = time.monotonic()
        status = run(folder, experiment.command, log)
        seconds, grown = time.monotonic() - started, size(folder) - before
        for command in experiment.after:
            status = status or run(folder, command, log)
    if status:
        raise UserError(f"{experiment.name}: the reference ended with exit status {status}; its output: {log}")
    return Reference(seconds, experiment.result(folder), paths(folder), grown)


def killed(experiment: Experiment, expected: Reference, trial: Path, number: int, seed: int) -> Loss:
    """One trial: the command is killed at a random moment of its time and run again."""
    rng = random.Random(f"{seed} {experiment.name} {number}")
    kind, share, which = KINDS[number % len(KINDS)], rng.random(), rng.random()
    hit = False
    while not hit:  # on a machine that has become faster the command may be over by then: sooner, the next time
        folder, log = copy(experiment.template(), trial / "project"), trial / "log"
        process = start(folder, experiment.command, log)
        moment = share * expected.seconds
        time.sleep(moment)
        hit = process.poll() is None
        if hit:
            said = disturb(folder, process.pid, kind, which)
            with log.open("a") as output:
                output.write(f"\n--- faults: {said} after {moment:.2f} s\n")
            patience = 60.0 if kind in ("terminate", "interrupt") else COMMAND_SECONDS
            status = wait(process, patience, folder)
            if status == 124:
                return Loss(said, [f"did not end within {patience:.0f} s"])
        else:
            end_all(folder)
            shutil.rmtree(folder)
            share /= 2
    return Loss(f"{said} after {moment:.1f} s", finish(experiment, expected, folder, log))


def disturb(folder: Path, leader: int, kind: str, which: float) -> str:
    """Sends the signals of a kind of fault; returns what it did."""
    if kind == "kill all":
        end_all(folder)
    elif kind == "kill one":
        alive = processes_of(folder)
        chosen = alive[int(which * len(alive))] if alive else None
        if chosen is not None:
            said = " ".join(chosen.cmdline()[-4:])[:60]
            send(chosen.pid, signal.SIGKILL)
            return f"{kind} ({said})"
    elif kind == "kill first":
        send(leader, signal.SIGKILL)
    else:
        send(leader, signal.SIGTERM if kind == "terminate" else signal.SIGINT, group=True)
    return kind


def finish(experiment: Experiment, expected: Reference, folder: Path, log: Path) -> list[str]:
    """Runs the command until it succeeds and what follows once; returns what differs from the reference."""
    for number in range(TRIES):
        time.sleep(TRY_AGAIN_SECONDS if number else 0)
        status = run(folder, experiment.command, log)
        if not status:
            break
    else:
        end_all(folder)
        return [f"cannot be finished: {last_line(log)}"]
    for command in experiment.after:
        if status := run(folder, command, log):
            end_all(folder)
            return [f"{' '.join(command[-2:])} ended with exit status {status}: {last_line(log)}"]
    problems = [f"a process is left: {line[:80]}" for line in gone_within(folder, LEFT_SECONDS)]
    end_all(folder)
    problems += differences(expected.result, experiment.result(folder))
    if extra := sorted(paths(folder) - expected.paths):
        problems.append(f"files are left: {', '.join(extra[:5])}")
    return problems


def last_line(log: Path) -> str:
    lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
    return lines[-1][:300] if lines else "no output"


def size(folder: Path) -> int:
    """Bytes on the disk, in whole pages as a tmpfs counts them."""
    return sum(-(-path.lstat().st_size // 4096) * 4096 for path in folder.rglob("*") if path.is_file())


def repeat(row: Row, times: int, jobs: int, folder: Path, trial: Callable[[Path, int], Loss]) -> None:
    """Runs trials, `jobs` at a time, and says what each has lost; the folders of those that lost something stay."""

    def one(number: int) -> None:
        own = folder / str(number)
        own.mkdir(parents=True)
        started = time.monotonic()
        loss = trial(own, number)
        print(f"{row.fault}, {number}: {loss} ({time.monotonic() - started:.0f} s)", flush=True)
        row.trials += 1
        if loss.problems:
            row.lost.append(f"{number}: {loss}")
            (own / "problems.txt").write_text("\n".join(loss.problems) + "\n")
        else:
            shutil.rmtree(own, ignore_errors=True)

    with ThreadPoolExecutor(jobs) as pool:
        list(pool.map(one, range(times)))
