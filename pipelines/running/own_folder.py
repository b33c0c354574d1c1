"""A run with overrides has a folder of its own: the project's `params.yaml`, lock file and reports stay as they are."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from pipelines import layout
from pipelines.running.waiting import wait_while


@contextmanager
def own_folder(params: Mapping[str, Any], say: Callable[[str], None]) -> Iterator[Path]:
    """A clone of the project with these parameters, which no other run uses meanwhile.

    The same parameters have the same folder: a run that was interrupted goes on there. Trainings that the project has
    finished are brought, and stage `train` keeps those that are what it would train.

    Args:
        params: a whole `params.yaml`.
        say: takes a line of the log.

    Raises:
        UserError: the code has changes that are in no commit, or another run used the folder for too long.
    """
    from pipelines.clone import bring_trainings, last_commit, set_up
    from pipelines.identity import digest

    commit = last_commit("a run with parameters of its own")
    folder = layout.study_dir(f"run-{digest(dict(params))[:12]}").absolute()
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_suffix(".lock").open("a+") as file:
        wait_while(lambda: _holder(file), f"this run, for its folder {folder},", say)
        set_up(folder, commit, params)
        if brought := bring_trainings(Path.cwd(), folder, params):
            say(f"starts with what the project has trained: {', '.join(brought)}")
        say(f"works in {folder}, with parameters of its own")
        yield folder


def _holder(file: IO[str]) -> list[str]:
    """Nobody, if this process has the lock now, or who has it. The kernel frees it with its holder."""
    import fcntl
    import os

    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.seek(0)
        return [f"process {file.read().strip()}, which runs with the same parameters,"]
    file.truncate(0)
    file.write(str(os.getpid()))
    file.flush()
    return []
