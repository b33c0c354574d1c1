"""Waiting for others, with a word on whom: whoever looks at a run that does nothing finds the reason in its log."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from pennet.errors import UserError
from pipelines.workspace import pipeline_commands, repo_lock_holder

PATIENCE_HOURS = 20.0
"""How long a run waits for other DVC commands: a person's longest, and still over before the next night's run."""
SAY_AGAIN_SECONDS = 600.0
QUIET_SECONDS = 5.0
"""Shorter waits are not worth a line: flows hold DVC's lock for a moment before and after each stage."""
POLL_SECONDS = 1.0

ended = threading.Event()
"""Set when the run is over, by a cancel, too: what waits in a thread of its own does so no longer."""


class RunEnded(UserError):
    """The run is over, and so is what this thread was about to do."""


def wait_while(
    blockers: Callable[[], Sequence[str]],
    what: str,
    say: Callable[[str], None],
    *,
    patience_hours: float = PATIENCE_HOURS,
    quiet_seconds: float = QUIET_SECONDS,
    poll_seconds: float = POLL_SECONDS,
) -> None:
    """Returns when nobody is left to wait for; says whom it waits for, at first and every ten minutes.

    Args:
        blockers: who is in the way now.
        what: waits, as a message begins: "train@terrain-ca-2019".
        say: takes a line of the log.
        patience_hours: the longest wait.
        quiet_seconds: the shortest wait that is worth a line.
        poll_seconds: between two looks.

    Raises:
        UserError: they are still there after `patience_hours`; names them and what to do.
        RunEnded: the run ended meanwhile.
    """
    started = time.monotonic()
    say_next = started + quiet_seconds
    while names := blockers():
        now = time.monotonic()
        if now - started > patience_hours * 3600:
            raise UserError(
                f"{what} has waited {patience_hours:g} hours for {'; '.join(names)}; end it with Ctrl-C or `kill NUMBER`,"
                " then start this run again"
            )
        if now >= say_next:
            say(f"{what} waits until this ends, {patience_hours:g} hours at most: {'; '.join(names)}")
            say_next = now + SAY_AGAIN_SECONDS
        if ended.wait(poll_seconds):
            raise RunEnded(f"{what}: the run was ended while it waited")


def wait_for_dvc(folder: Path, what: str, say: Callable[[str], None]) -> None:
    """Waits until no other DVC command has this folder for itself: one that runs many stages, or holds DVC's lock.

    Raises:
        UserError: see `wait_while`.
    """
    wait_while(lambda: sorted({*pipeline_commands(folder), *repo_lock_holder(folder)}), what, say)
