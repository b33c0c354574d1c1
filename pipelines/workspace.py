"""The folder that everything runs in: whether DVC and Prefect can work there, and what to do where they cannot."""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from pathlib import Path

from pennet.errors import UserError
from pipelines.loopback import without_proxy
from pipelines.repository import NoGit, git

RWLOCK = Path(".dvc/tmp/rwlock")
DVC_LOCK = Path("dvc.lock")
LOCK_REMEDY = "`git checkout -- dvc.lock` brings the last commit's back; without the file every stage counts as changed"
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


def check_workspace() -> None:
    """Finds at once what would end a run in the middle; a lock file that DVC left half written is mended.

    Raises:
        UserError: no git repository, a folder that cannot be written, a damaged file of DVC; with the remedy.
    """
    _check_git()
    for folder in (Path.cwd(), Path(os.environ.get("PREFECT_HOME", ".prefect"))):
        _check_writable(folder)
    _check_dvc_lock()
    _mend_rwlock()


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


def _check_dvc_lock() -> None:
    if not DVC_LOCK.exists():
        return
    lines = DVC_LOCK.read_text(encoding="utf-8", errors="replace").splitlines()
    if not any(line.startswith("schema:") for line in lines):
        raise UserError(f"dvc.lock is empty or no lock file of DVC; {LOCK_REMEDY}")
    if any(line.startswith("<<<<<<<") for line in lines):
        raise UserError(f"dvc.lock holds the two sides of a merge conflict; {LOCK_REMEDY}")


def _mend_rwlock() -> None:
    """Removes a damaged list of the files in use, which makes DVC refuse everything, if nothing is in use."""
    if not _is_damaged(RWLOCK):
        return
    if users := dvc_processes():
        time.sleep(_WRITING_SECONDS)
        if not _is_damaged(RWLOCK):
            return
        raise UserError(f"{RWLOCK} is damaged while DVC is running ({'; '.join(users)}); let it end, then run this again")
    RWLOCK.unlink(missing_ok=True)
    print(f"warning: removed {RWLOCK}, which a crash had left damaged; no DVC process was running", file=sys.stderr)


def _is_damaged(path: Path) -> bool:
    try:
        return not isinstance(json.loads(path.read_text(encoding="utf-8")), dict)
    except FileNotFoundError:
        return False
    except ValueError:
        return True


def dvc_processes() -> list[str]:
    """The DVC commands that run in this folder (or in one that cannot be seen): number and command line of each."""
    import psutil

    found = []
    for process in psutil.process_iter(["pid", "cmdline", "cwd"]):
        words = process.info["cmdline"] or []
        if not any(Path(word).name == "dvc" for word in words[:3]):  # dvc ..., python dvc ..., python -m dvc ...
            continue
        cwd = process.info["cwd"]  # None: another user's
        if cwd is None or Path(cwd).is_relative_to(Path.cwd()):
            found.append(f"process {process.info['pid']}: {' '.join(words)}")
    return found


def main() -> None:
    """For commands that start DVC by themselves: `make repro`."""
    try:
        check_workspace()
    except (UserError, OSError) as error:
        sys.exit(f"workspace: {error}")


if __name__ == "__main__":
    main()
