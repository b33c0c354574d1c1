"""Where a run comes from: the commit, and whether the code is still the commit's."""

from __future__ import annotations

import os
import subprocess

CHANGES_NO_RESULT = ("dvc.lock", "reports", "README.md", "docs")
"""Tracked, but written by a run or for people: a change there does not make the code another than the commit's."""


def provenance() -> dict[str, str]:
    """Where the run comes from: git commit and dirty flag, DVC experiment.

    Dirty is what can change a result: a tracked file other than `CHANGES_NO_RESULT`, or a new module.
    """

    def git(*arguments: str) -> str:
        return subprocess.run(["git", *arguments], capture_output=True, text=True, check=False).stdout.strip()

    excluded = [f":!{path}" for path in CHANGES_NO_RESULT]
    changed = git("status", "--porcelain", "--untracked-files=no", "--", ".", *excluded)
    untracked = git("ls-files", "--others", "--exclude-standard", "--", "pennet", "pipelines")
    tags = {"git.commit": git("rev-parse", "HEAD") or "none", "git.dirty": str(bool(changed or untracked)).lower()}
    experiment = os.environ.get("DVC_EXP_NAME")
    return tags | ({"dvc.experiment": experiment} if experiment else {})
