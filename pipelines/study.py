"""Runs a profile in a folder of its own and keeps its results: `make study PROFILE=ablation`.

A study is a clone of the last commit in `.studies/PROFILE/`, with the profile as its `params.yaml`, so that the project's
own parameters, lock file and reports stay as they are. It shares DVC's cache and the MLflow store, goes on where it was
interrupted, and leaves its tables and pictures in `reports/studies/PROFILE/`, for git.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from pathlib import Path

from pennet.errors import UserError
from pipelines import layout
from pipelines.params import PARAMS_PATH, load_params, read_yaml, write_yaml
from pipelines.process import child
from pipelines.workspace import check_workspace

PROFILES = Path("profiles")
LOCK = "dvc.lock"
SQLITE = "sqlite:///"


def run(profile: str) -> None:
    """Runs every stage of a profile and copies its comparison.

    Raises:
        UserError: no such profile, changes that are not committed, or a stage that failed.
    """
    check_workspace()
    source = PROFILES / f"{profile}.yaml"
    if not source.exists():
        known = ", ".join(sorted(path.stem for path in PROFILES.glob("*.yaml")))
        raise UserError(f"{source} does not exist; known profiles are {known}")
    config = load_params(source)
    if changes := _git("status", "--porcelain", "--untracked-files=no"):
        raise UserError(f"not committed: {', '.join(line.strip() for line in changes.splitlines())}; a study is of a commit")
    folder = layout.study_dir(profile)
    _check_out(folder, _git("rev-parse", "HEAD"))
    write_yaml(folder / PARAMS_PATH, _in_this_store(read_yaml(source)))

    for command in ([sys.executable, "-m", "dvc", "repro"], [sys.executable, "-m", "pipelines.record"]):
        with child(command, cwd=folder) as process:
            if status := process.wait():
                raise UserError(f"{' '.join(command[-2:])} ended with exit status {status} in {folder}; mend it, run again")
    for dataset in config.datasets:
        target = layout.study_report_dir(profile, dataset)
        fresh = target.with_name(f".{target.name}.new")
        shutil.rmtree(fresh, ignore_errors=True)
        for kept in (layout.comparison_dir(dataset), layout.plots_dir(dataset)):
            shutil.copytree(folder / kept, fresh / kept.name)
        shutil.rmtree(target, ignore_errors=True)
        fresh.rename(target)
        print(f"{profile} on {dataset}: {target / 'comparison' / 'comparison.md'}")


def _check_out(folder: Path, commit: str) -> None:
    """Makes the folder a clone at a commit, with the project's cache; what it has already computed stays known to DVC."""
    lock = folder / LOCK
    known = lock.read_text() if lock.exists() else None
    if not (folder / ".git").exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        _git("clone", "--quiet", "--no-checkout", str(Path.cwd()), str(folder))
    _git("-C", str(folder), "fetch", "--quiet", str(Path.cwd()), commit)
    _git("-C", str(folder), "checkout", "--quiet", "--force", "--detach", commit)
    if known is not None:
        lock.write_text(known)
    cache = str(Path(".dvc/cache").absolute())
    with child([sys.executable, "-m", "dvc", "config", "--local", "cache.dir", cache], cwd=folder) as process:
        process.wait()


def _in_this_store(params: dict[str, dict[str, str]]) -> dict[str, dict[str, str]]:
    """A store that the profile names relative to its folder is the project's own."""
    uri = params["tracking"]["uri"]
    if uri.startswith(SQLITE):
        params["tracking"]["uri"] = SQLITE + str(Path(uri.removeprefix(SQLITE)).absolute())
    return params


def _git(*arguments: str) -> str:
    result = subprocess.run(["git", *arguments], capture_output=True, text=True, check=False)
    if result.returncode:
        raise UserError(f"git {arguments[0]} failed: {result.stderr.strip()}")
    return result.stdout.strip()


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("profile", help="a file of profiles/, without .yaml")
    try:
        run(parser.parse_args().profile)
    except (UserError, OSError) as error:
        sys.exit(f"study: {error}")


if __name__ == "__main__":
    main()
