"""A clone of the project at a commit, with parameters of its own: what runs in it leaves the project as it is.

It shares DVC's cache, the archives and the MLflow store with the project, and goes on where it was interrupted.
"""

from __future__ import annotations

import itertools
import shutil
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pennet.atomic import replacing, replacing_folder
from pennet.errors import UserError
from pipelines import layout
from pipelines.identity import digest, read_identity
from pipelines.params import PARAMS_PATH, store_uri, write_yaml
from pipelines.process import child
from pipelines.provenance import CHANGES_NO_RESULT
from pipelines.repository import git

LOCK, RESULTS = "dvc.lock", "reports"
SQLITE = "sqlite:///"


def last_commit(what: str) -> str:
    """The commit that a clone is of.

    Args:
        what: needs it, for the message: "a study".

    Raises:
        UserError: there are changes that can change a result and are in no commit.
    """
    results = [f":!{path}" for path in (*CHANGES_NO_RESULT, PARAMS_PATH)]
    if changes := git("status", "--porcelain", "--untracked-files=no", "--", ".", *results).splitlines():
        raise UserError(f"not committed: {', '.join(line.strip() for line in changes)}; {what} is of a commit")
    return git("rev-parse", "HEAD").strip()


def set_up(folder: Path, commit: str, params: Mapping[str, Any]) -> str:
    """Makes the folder a clone at a commit, with these parameters; returns the address of the MLflow store."""
    check_out(folder, commit)
    own = _with_the_projects_files(dict(params))
    write_yaml(folder / PARAMS_PATH, own)
    return str(own["tracking"]["uri"])


def bring_trainings(source: Path, folder: Path, params: Mapping[str, Any]) -> list[str]:
    """Copies finished trainings that the parameters name and another folder has not: weights, cost, curves and timing.

    Stage `train` keeps those that are what it would train (docs/decisions/0012) and trains the others.

    Args:
        source: a clone or the project; nothing happens where there is none.
        folder: the other one.
        params: the parameters of the other folder.

    Returns:
        The folders of the models that were copied.

    Raises:
        UserError: an unreadable identity in the source.
    """
    brought = []
    for dataset, method, seed in itertools.product(params["datasets"], params["methods"]["learned"], params["seeds"]):
        model = layout.model_dir(dataset, method, seed)
        report_dir = layout.report_dir(dataset, method, seed)
        beside = [report_dir / "cost.json", report_dir / "history.csv"]
        identity = read_identity(source / model / layout.IDENTITY_FILE)  # written last: with it the training is whole
        if identity is None or (folder / model).exists() or not all((source / path).exists() for path in beside):
            continue
        timing = layout.checkpoints_dir(digest(identity)) / "timing.json"
        for path in (*beside, *([timing] if (source / timing).exists() else [])):
            with replacing(folder / path) as temporary:
                shutil.copyfile(source / path, temporary)
        with replacing_folder(folder / model) as fresh:  # last, for the same reason
            shutil.copytree(source / model, fresh, copy_function=shutil.copyfile, dirs_exist_ok=True)
        brought.append(str(model))
    return brought


def check_out(folder: Path, commit: str) -> None:
    """Makes the folder a clone at a commit, with the project's cache; the lock file and the results in it stay its own."""
    if not (folder / ".git").exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        git("clone", "--quiet", "--no-checkout", str(Path.cwd()), str(folder))
    git("-C", str(folder), "fetch", "--quiet", str(Path.cwd()), commit)
    with _kept(folder / LOCK, folder / RESULTS):
        git("-C", str(folder), "checkout", "--quiet", "--force", "--detach", commit)
    shared = layout.archives_dir("")  # archives may be large, and a study needs the same ones
    shared.mkdir(parents=True, exist_ok=True)
    if not (folder / shared).exists():
        (folder / shared).parent.mkdir(parents=True, exist_ok=True)
        (folder / shared).symlink_to(shared.absolute())
    cache = str(Path(".dvc/cache").absolute())
    with child([sys.executable, "-m", "dvc", "config", "--local", "cache.dir", cache], cwd=folder) as process:
        process.wait()


@contextmanager
def _kept(*paths: Path) -> Iterator[None]:
    """Puts back what was there before: git holds these paths too, as they are under the project's own parameters."""
    aside = {path: path.with_name(f".{path.name}-of-the-study") for path in paths}
    for path, kept in aside.items():
        if path.exists() and not kept.exists():  # one that is there already is of a start that was killed in between
            path.rename(kept)
    try:
        yield
    finally:
        for path, kept in aside.items():
            if kept.exists():
                shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
                kept.rename(path)


def _with_the_projects_files(params: dict[str, Any]) -> dict[str, Any]:
    """Paths that the parameters name relative to the project stay the project's own: its store, archives that git lacks."""
    sources = {
        name: source | {"archives": [_absolute(archive, source) for archive in source["archives"]]}
        for name, source in params["sources"].items()
    }
    files = {
        name: entry | {"archive": str(Path(entry["archive"]).absolute())} for name, entry in params["masks"]["files"].items()
    }
    uri = store_uri(params["tracking"]["uri"])
    if uri.startswith(SQLITE):
        uri = SQLITE + str(Path(uri.removeprefix(SQLITE)).absolute())
    tracking = params["tracking"] | {"uri": uri}
    return params | {"sources": sources, "masks": params["masks"] | {"files": files}, "tracking": tracking}


def _absolute(archive: str, source: Mapping[str, Any]) -> str:
    """A path of the project's; URLs and the hub's names are what they are anywhere."""
    return archive if "://" in archive or source["data_set"] == "hub" else str(Path(archive).absolute())
