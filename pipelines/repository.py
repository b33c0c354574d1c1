"""git, with one clear message where it cannot help."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

from pennet.errors import UserError


class NoGit(UserError):
    """git is not installed, or this folder is in no repository: downloaded as an archive, say."""


def git(*arguments: str, variables: Mapping[str, str] | None = None) -> str:
    """What a git command prints, run here, with more variables in its environment if they are given.

    Raises:
        UserError: git is not installed, this is no repository or one of another user's, or the command failed.
    """
    here = Path.cwd()
    try:
        result = subprocess.run(
            ["git", *arguments],
            capture_output=True,
            text=True,
            check=False,
            env=os.environ | {"LC_ALL": "C"} | dict(variables or {}),
        )
    except FileNotFoundError as error:
        raise NoGit("git is not installed, and DVC needs it; install it") from error
    if result.returncode == 0:
        return result.stdout
    message = result.stderr.strip()
    if "not a git repository" in message:
        raise NoGit(
            f"{here} is no git repository, and DVC works in one only; make it one:"
            " git init && git add -A && git commit -m 'Start of the project'"
        )
    if "dubious ownership" in message:
        raise UserError(f"{here} belongs to another user; run `git config --global --add safe.directory {here}`")
    if "HEAD" in arguments[-1] and ("unknown revision" in message or "invalid object name" in message):
        raise UserError(f"{here} has no commit yet; commit what there is first")
    raise UserError(f"git {arguments[0]} failed: {message}")
