"""Where a result comes from: commit, changes of the code since, parameters, packages, and the command that made it."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import re
import shutil
import sys
import tempfile
from functools import cache
from pathlib import Path
from urllib.parse import urlsplit

from pennet.atomic import replacing_folder
from pennet.errors import UserError
from pipelines.params import PARAMS_PATH
from pipelines.repository import git

CHANGES_NO_RESULT = ("dvc.lock", "reports", "README.md", "docs")
"""Tracked, but written by a run or for people: a change there does not make the code another than the commit's."""
UNKNOWN = "unknown"
SOURCE_FILE, PATCH_FILE, ENVIRONMENT_FILE = "source.json", "code.patch", "environment.txt"
MODULES = ("pennet", "pipelines")
_FILES = (str(PARAMS_PATH), "dvc.yaml")


def provenance() -> dict[str, str]:
    """Where the run comes from: git commit and dirty flag, DVC experiment.

    Dirty is code that differs from the commit's: a tracked file other than `CHANGES_NO_RESULT` and `params.yaml`, or a new
    module. Parameters are part of the record. Where git does not say, both are `unknown`, and git's reason with its remedy
    is printed once.
    """
    experiment = os.environ.get("DVC_EXP_NAME")
    return _git_tags() | ({"dvc.experiment": experiment} if experiment else {})


def write_origin(folder: Path) -> None:
    """Writes what it takes to do again what this process does: the folder appears whole.

    It holds `source.json` (commit, whether the code differed, repository, command), `code.patch` where it differed,
    `params.yaml`, `dvc.yaml` and `environment.txt`, the installed packages as pip's constraints.

    Raises:
        OSError: the disk is full or not writable.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    tags = _git_tags()
    with replacing_folder(folder) as fresh:
        for name in _FILES:
            if Path(name).exists():
                shutil.copyfile(name, fresh / name)
        if tags["git.dirty"] == "true":
            _write_patch(fresh / PATCH_FILE)
        source = {
            "commit": tags["git.commit"],
            "dirty": tags["git.dirty"],
            **(_repository() if tags["git.commit"] != UNKNOWN else {}),
            "command": _command(),
            "stage": os.environ.get("DVC_STAGE", ""),
            "python": platform.python_version(),
            "platform": platform.platform(),
        }
        (fresh / SOURCE_FILE).write_text(json.dumps(source, indent=2, sort_keys=True) + "\n", encoding="utf-8")
        (fresh / ENVIRONMENT_FILE).write_text("\n".join(installed_packages()) + "\n", encoding="utf-8")


def installed_packages() -> list[str]:
    """`name==version` of all that is installed, but for what came from a folder or an address, as this project did."""
    found = importlib.metadata.distributions()
    pins = {_normal(d.metadata["Name"]): d.version for d in found if d.read_text("direct_url.json") is None}
    return [f"{name}=={version}" for name, version in sorted(pins.items()) if name != "pennet"]  # its egg-info in a checkout


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _command() -> str:
    """As it was typed: `python -m pipelines.train terrain pennet 2019`."""
    main = getattr(sys.modules["__main__"], "__spec__", None)
    program = ["-m", main.name] if main else [sys.argv[0]]
    return " ".join(["python", *program, *sys.argv[1:]])


def _git_tags() -> dict[str, str]:
    excluded = [f":!{path}" for path in (*CHANGES_NO_RESULT, PARAMS_PATH)]
    try:
        commit = git("rev-parse", "HEAD").strip()
        changed = git("status", "--porcelain", "--untracked-files=no", "--", ".", *excluded)
        untracked = git("ls-files", "--others", "--exclude-standard", "--", *MODULES)
    except UserError as error:
        _warn_once(f"the commit of this run is not recorded: {error}")
        return {"git.commit": UNKNOWN, "git.dirty": UNKNOWN}
    return {"git.commit": commit, "git.dirty": str(bool(changed or untracked)).lower()}


def _repository() -> dict[str, str]:
    """Where to clone from, without passwords, and the project's folder in it."""
    try:
        address = git("remote", "get-url", "origin").strip()
    except UserError:
        address = git("rev-parse", "--show-toplevel").strip()
    parts = urlsplit(address)
    if parts.scheme and parts.hostname and "@" in parts.netloc and parts.scheme != "ssh":
        address = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
    return {"repository": address, "folder": git("rev-parse", "--show-prefix").strip()}


def _write_patch(path: Path) -> None:
    """The code as a change of the commit, new modules included; for `git apply`. Neither index nor objects are touched."""
    with tempfile.TemporaryDirectory() as scratch:
        own = {
            "GIT_INDEX_FILE": f"{scratch}/index",
            "GIT_OBJECT_DIRECTORY": scratch,
            "GIT_ALTERNATE_OBJECT_DIRECTORIES": str(Path(git("rev-parse", "--git-path", "objects").strip()).absolute()),
        }
        git("read-tree", "HEAD", variables=own)
        excluded = [f":!{name}" for name in (*CHANGES_NO_RESULT, PARAMS_PATH)]
        git("add", "--update", "--", ".", *excluded, variables=own)
        if there := [name for name in MODULES if Path(name).exists()]:
            git("add", "--all", "--", *there, variables=own)
        git("diff", "--cached", "--binary", f"--output={path.absolute()}", "HEAD", variables=own)


@cache
def _warn_once(message: str) -> None:
    print(f"warning: {message}", file=sys.stderr, flush=True)
