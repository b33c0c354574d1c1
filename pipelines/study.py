"""Runs a profile in a folder of its own and keeps its results: `make study PROFILE=ablation`.

A study is a clone of the last commit in `.studies/PROFILE/`, with the resolved profile as its `params.yaml`, so that the
project's own parameters, lock file and reports stay as they are. It shares DVC's cache and the MLflow store, goes on where
it was interrupted, and leaves its tables and pictures in `reports/studies/PROFILE/`, for git. It starts with the trainings
of the studies that its profile extends, so that only those are trained again whose weights something in it changes.
"""

from __future__ import annotations

import argparse
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
from pipelines.params import PARAMS_PATH, STORE_VARIABLE, store_uri, write_yaml
from pipelines.process import child
from pipelines.profile import ancestors, committed_params, refuse_changes_of_ones_own, resolved
from pipelines.provenance import CHANGES_NO_RESULT
from pipelines.repository import git
from pipelines.workspace import check_workspace

LOCK, RESULTS = "dvc.lock", "reports"
SQLITE = "sqlite:///"


def run(profile: str) -> None:
    """Runs every stage of a profile and copies its comparison.

    Raises:
        UserError: no such profile, a wrong value in it, changes that are not committed, or a stage that failed.
    """
    check_workspace()
    params = resolved(profile, committed_params())
    refuse_changes_of_ones_own()
    results = [f":!{path}" for path in (*CHANGES_NO_RESULT, PARAMS_PATH)]
    if changes := git("status", "--porcelain", "--untracked-files=no", "--", ".", *results).splitlines():
        raise UserError(f"not committed: {', '.join(line.strip() for line in changes)}; a study is of a commit")
    folder = layout.study_dir(profile)
    check_out(folder, git("rev-parse", "HEAD").strip())
    params = _with_the_projects_files(params)
    write_yaml(folder / PARAMS_PATH, params)
    for ancestor in ancestors(profile):
        if brought := bring_trainings(layout.study_dir(ancestor), folder, params):
            print(f"{profile} starts with what {ancestor} has trained: {', '.join(brought)}")

    for command in ([sys.executable, "-m", "dvc", "repro"], [sys.executable, "-m", "pipelines.record"]):
        with child(command, cwd=folder, variables={STORE_VARIABLE: params["tracking"]["uri"]}) as process:
            if status := process.wait():
                raise UserError(f"{' '.join(command[-2:])} ended with exit status {status} in {folder}; mend it, run again")
    for dataset in params["datasets"]:
        target = layout.study_report_dir(profile, dataset)
        with replacing_folder(target) as fresh:
            for kept in (layout.comparison_dir(dataset), layout.plots_dir(dataset)):
                shutil.copytree(folder / kept, fresh / kept.name)
        print(f"{profile} on {dataset}: {target / 'comparison' / 'comparison.md'}")


def bring_trainings(source: Path, folder: Path, params: Mapping[str, Any]) -> list[str]:
    """Copies a study's finished trainings that a profile names and another study has not: weights, cost, curves and timing.

    Stage `train` keeps those that are what it would train (docs/decisions/0012) and trains the others.

    Args:
        source: the study's folder; nothing happens where there is none.
        folder: the other study's.
        params: the parameters of the other study.

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


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("profile", help="a file of profiles/, without .yaml")
    try:
        run(parser.parse_args().profile)
    except (UserError, OSError) as error:
        sys.exit(f"study: {error}")


if __name__ == "__main__":
    main()
