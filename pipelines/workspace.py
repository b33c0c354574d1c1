"""The folder that everything runs in: whether DVC and Prefect can work there, and what to do where they cannot."""

from __future__ import annotations

import json
import os
import re
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pennet.atomic import write_json, write_text
from pennet.errors import UserError
from pipelines.loopback import without_proxy
from pipelines.repository import NoGit, git

RWLOCK = Path(".dvc/tmp/rwlock")
"""DVC's list of the files that its running stages read and write."""
RWLOCK_GUARD = Path(".dvc/tmp/rwlock.lock")
REPO_LOCK = Path(".dvc/tmp/lock")
"""Held by any DVC command, except while a stage's own command runs."""
DVC_LOCK = Path("dvc.lock")
DVC_LOCK_COPY = Path(".dvc/tmp/dvc.lock-of-the-last-run")
LOCK_REMEDY = "`git checkout -- dvc.lock` brings the last commit's back; without the file every stage counts as changed"
_DVC_PROGRAM = re.compile(r".*(?:/__main__\.py|/dvc)(?= |$)|dvc(?= |$)")
_WRITING_SECONDS = 1.0
"""Longer than DVC takes to write its lock file."""


def run_environment() -> dict[str, str]:
    """Environment variables that Prefect and its children need here; to be set before Prefect is imported.

    What the user has set stays, `NO_PROXY` apart: this machine is added to it.
    """
    own = {
        "PREFECT_HOME": str(Path(".prefect").absolute()),  # a home may be read-only, or hold another project's schedules
        # On an empty PREFECT_HOME Prefect's own patience (20 s) is too short for its temporary server.
        "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "120",
    }
    return {name: os.environ.get(name, value) for name, value in own.items()} | without_proxy()


def check_workspace(folder: Path = Path()) -> None:
    """Finds at once what would end a run in the middle; a lock file that DVC left half written is mended.

    Args:
        folder: with `dvc.yaml`.

    Raises:
        UserError: no git repository, a folder that cannot be written, a damaged file of DVC; with the remedy.
    """
    _check_git()
    for used in (folder.absolute(), Path(os.environ.get("PREFECT_HOME", ".prefect"))):
        _check_writable(used)
    _check_dvc_lock(folder)
    _mend_rwlock(folder)


def _check_git() -> None:
    try:
        git("rev-parse")
    except UserError as error:  # another user's is enough: DVC works there, and the record says that the commit is unknown
        if isinstance(error, NoGit):
            raise


def _check_writable(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        remedy = "set PREFECT_HOME to one that can" if folder.name == ".prefect" else "copy the project to one that can"
        raise UserError(f"{folder} cannot be written ({error.strerror}); {remedy}") from error


def _check_dvc_lock(folder: Path) -> None:
    """Keeps a copy of a whole lock file, and puts it back where a crash has cut the file short while DVC wrote it."""
    path, kept = folder / DVC_LOCK, folder / DVC_LOCK_COPY
    if not path.exists():
        return
    text = path.read_text(encoding="utf-8", errors="replace")
    if not _is_whole(text) and dvc_processes(folder):  # one of them may be writing it
        time.sleep(_WRITING_SECONDS)
        text = path.read_text(encoding="utf-8", errors="replace")
    if any(line.startswith("<<<<<<<") for line in text.splitlines()):
        raise UserError(f"dvc.lock holds the two sides of a merge conflict; {LOCK_REMEDY}")
    if _is_whole(text):
        if kept.parent.is_dir() and not (kept.exists() and kept.read_text(encoding="utf-8") == text):
            write_text(kept, text)
        return
    if not kept.exists():
        raise UserError(f"dvc.lock is empty or no lock file of DVC; {LOCK_REMEDY}")
    write_text(path, kept.read_text(encoding="utf-8"))
    print(f"warning: {path} was cut short by a crash; it is again what it was when a run last began", file=sys.stderr)


def _is_whole(text: str) -> bool:
    return text.endswith("\n") and any(line.startswith("schema:") for line in text.splitlines())


def _mend_rwlock(folder: Path) -> None:
    """Removes a damaged list of the files in use, which makes DVC refuse everything, if nothing is in use.

    Of a whole list, takes out the entries of processes that are gone and whose number another program has by now.
    """
    path = folder / RWLOCK
    if not _is_damaged(path):
        _drop_stale_entries(folder)
        return
    if users := dvc_processes(folder):
        time.sleep(_WRITING_SECONDS)
        if not _is_damaged(path):
            return
        raise UserError(f"{path} is damaged while DVC is running ({'; '.join(users)}); let it end, then run this again")
    path.unlink(missing_ok=True)
    print(f"warning: removed {path}, which a crash had left damaged; no DVC process was running", file=sys.stderr)


def _is_damaged(path: Path) -> bool:
    try:
        return not isinstance(json.loads(path.read_text(encoding="utf-8")), dict)
    except FileNotFoundError:
        return False
    except ValueError:
        return True


def _drop_stale_entries(folder: Path) -> None:
    """DVC itself drops those of numbers that no process has; after a restart of the machine some program may have them."""
    import fcntl

    if not _stale(folder):
        return
    with (folder / RWLOCK_GUARD).open("a") as guard:
        fcntl.flock(guard, fcntl.LOCK_EX)  # as DVC does around its own changes
        if stale := _stale(folder):
            lock = _read_rwlock(folder)
            writers = {path: entry for path, entry in lock.get("write", {}).items() if entry["pid"] not in stale}
            readers = {
                path: [entry for entry in entries if entry["pid"] not in stale]
                for path, entries in lock.get("read", {}).items()
            }
            write_json(folder / RWLOCK, {"write": writers, "read": {path: kept for path, kept in readers.items() if kept}})
            print(f"warning: {folder / RWLOCK} named processes that have ended ({sorted(stale)}); mended", file=sys.stderr)


def _stale(folder: Path) -> set[int]:
    return {pid for pid, command in _holders(folder).items() if not _is_that_process(pid, command, folder)}


def rwlock_holders(folder: Path = Path()) -> dict[int, str]:
    """The processes that use files of DVC's stages here, as DVC's list names them: number -> command."""
    alive = {pid: command for pid, command in _holders(folder).items() if _is_that_process(pid, command, folder)}
    return {pid: f"dvc {_arguments(command)}" for pid, command in alive.items()}


def _holders(folder: Path) -> dict[int, str]:
    lock = _read_rwlock(folder)
    entries = [*lock.get("write", {}).values(), *(entry for entries in lock.get("read", {}).values() for entry in entries)]
    return {entry["pid"]: entry["cmd"] for entry in entries}


def _read_rwlock(folder: Path) -> dict[str, Any]:
    try:
        return dict(json.loads((folder / RWLOCK).read_text(encoding="utf-8")))
    except (FileNotFoundError, ValueError):  # being written at this moment, or damaged: `check_workspace` says so
        return {}


def _arguments(command: str) -> str:
    """Of a command as DVC notes it, the words of `sys.argv`, what follows the program; that one's path may hold spaces."""
    program = _DVC_PROGRAM.match(command)
    return command[program.end() :].lstrip() if program else command.partition(" ")[2]


def _is_that_process(pid: int, command: str, folder: Path) -> bool:
    """Whether the process of this number is the one that the list means, and not a later one of the same number.

    Args:
        command: what DVC notes, the words of its `sys.argv`.
    """
    import psutil

    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE or process.create_time() > (folder / RWLOCK).stat().st_mtime + 1:
            return False
        return " ".join(process.cmdline()).endswith(_arguments(command))
    except (psutil.NoSuchProcess, FileNotFoundError):
        return False
    except psutil.AccessDenied:  # another user's
        return True


def dvc_processes(folder: Path = Path()) -> list[str]:
    """The DVC commands that run in this folder (or in one that cannot be seen): number and command line of each."""
    return [f"process {pid}: {' '.join(words)}" for pid, words in _dvc_commands(folder)]


def pipeline_commands(folder: Path = Path()) -> list[str]:
    """Those of them that run one stage after another, as a person's `dvc repro` does; a flow's run one each."""
    return [
        f"process {pid}: {' '.join(words)}"
        for pid, words in _dvc_commands(folder)
        if "--single-item" not in words and ("repro" in words or ("run" in words and {"exp", "experiments"} & set(words)))
    ]


def repo_lock_holder(folder: Path = Path()) -> list[str]:
    """Who holds DVC's lock of the whole folder now: nobody, or one process."""
    import fcntl

    try:
        with (folder / REPO_LOCK).open("r") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
                return []
            except BlockingIOError:
                pid = file.read().strip()
    except OSError:  # there is none yet
        return []
    commands = {str(number): " ".join(words) for number, words in _dvc_commands(folder)}
    return [f"process {pid or 'of an unknown number'}: {commands.get(pid, 'it holds ' + str(REPO_LOCK))}"]


def _dvc_commands(folder: Path) -> Iterator[tuple[int, list[str]]]:
    import psutil

    here = folder.absolute()
    for process in psutil.process_iter(["pid", "cmdline", "cwd"]):
        words = process.info["cmdline"] or []
        if not any(Path(word).name == "dvc" for word in words[:3]):  # dvc ..., python dvc ..., python -m dvc ...
            continue
        cwd = process.info["cwd"]  # None: another user's
        if cwd is None or _project_of(Path(cwd)) == here:
            yield process.info["pid"], words


def _project_of(folder: Path) -> Path | None:
    """The nearest folder with DVC's state: a study's clone lies inside the project, and is another one."""
    return next((parent for parent in (folder, *folder.parents) if (parent / ".dvc").is_dir()), None)


def main() -> None:
    """For commands that start DVC by themselves: `make repro`."""
    try:
        check_workspace()
    except (UserError, OSError) as error:
        sys.exit(f"workspace: {error}")


if __name__ == "__main__":
    main()
