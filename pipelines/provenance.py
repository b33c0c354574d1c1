"""Where a run comes from: the commit, and whether the code is still the commit's."""

from __future__ import annotations

import os
import sys
from functools import cache

from pennet.errors import UserError
from pipelines.repository import git

CHANGES_NO_RESULT = ("dvc.lock", "reports", "README.md", "docs")
"""Tracked, but written by a run or for people: a change there does not make the code another than the commit's."""
UNKNOWN = "unknown"


def provenance() -> dict[str, str]:
    """Where the run comes from: git commit and dirty flag, DVC experiment.

    Dirty is what can change a result: a tracked file other than `CHANGES_NO_RESULT`, or a new module. Where git does not
    say, both are `unknown`, and git's reason with its remedy is printed once.
    """
    experiment = os.environ.get("DVC_EXP_NAME")
    return _git_tags() | ({"dvc.experiment": experiment} if experiment else {})


def _git_tags() -> dict[str, str]:
    excluded = [f":!{path}" for path in CHANGES_NO_RESULT]
    try:
        commit = git("rev-parse", "HEAD").strip()
        changed = git("status", "--porcelain", "--untracked-files=no", "--", ".", *excluded)
        untracked = git("ls-files", "--others", "--exclude-standard", "--", "pennet", "pipelines")
    except UserError as error:
        _warn_once(f"the commit of this run is not recorded: {error}")
        return {"git.commit": UNKNOWN, "git.dirty": UNKNOWN}
    return {"git.commit": commit, "git.dirty": str(bool(changed or untracked)).lower()}


@cache
def _warn_once(message: str) -> None:
    print(f"warning: {message}", file=sys.stderr, flush=True)
