"""Runs a profile in a folder of its own and keeps its results: `make study PROFILE=ablation`.

A study is a clone of the last commit in `.studies/PROFILE/` (`pipelines/clone.py`), with the resolved profile as its
`params.yaml`, so that the project's own parameters, lock file and reports stay. It leaves its tables and
pictures in `reports/studies/PROFILE/`, for git. It starts with the trainings of the studies that its profile extends, so
that only those are trained again whose weights something in it changes.
"""

from __future__ import annotations

import argparse
import shutil
import sys

from pennet.atomic import replacing_folder
from pennet.errors import UserError
from pipelines import layout
from pipelines.clone import bring_trainings, last_commit, set_up
from pipelines.params import STORE_VARIABLE
from pipelines.process import child
from pipelines.profile import ancestors, committed_params, refuse_changes_of_ones_own, resolved
from pipelines.workspace import check_workspace


def run(profile: str) -> None:
    """Runs every stage of a profile and copies its comparison.

    Raises:
        UserError: no such profile, a wrong value in it, changes that are not committed, or a stage that failed.
    """
    check_workspace()
    params = resolved(profile, committed_params())
    refuse_changes_of_ones_own()
    folder = layout.study_dir(profile)
    store = set_up(folder, last_commit("a study"), params)
    for ancestor in ancestors(profile):
        if brought := bring_trainings(layout.study_dir(ancestor), folder, params):
            print(f"{profile} starts with what {ancestor} has trained: {', '.join(brought)}")

    for command in ([sys.executable, "-m", "dvc", "repro"], [sys.executable, "-m", "pipelines.record"]):
        with child(command, cwd=folder, variables={STORE_VARIABLE: store}) as process:
            if status := process.wait():
                raise UserError(f"{' '.join(command[-2:])} ended with exit status {status} in {folder}; mend it, run again")
    for dataset in params["datasets"]:
        target = layout.study_report_dir(profile, dataset)
        with replacing_folder(target) as fresh:
            for kept in (layout.comparison_dir(dataset), layout.plots_dir(dataset)):
                shutil.copytree(folder / kept, fresh / kept.name)
        print(f"{profile} on {dataset}: {target / 'comparison' / 'comparison.md'}")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("profile", help="a file of profiles/, without .yaml")
    try:
        run(parser.parse_args().profile)
    except (UserError, OSError) as error:
        sys.exit(f"study: {error}")


if __name__ == "__main__":
    main()
