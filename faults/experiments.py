"""Which experiments there are: what is disturbed, in which way, and what is compared in the end."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from faults import disks, servers
from faults.projects import TRIAL, Templates, small_archive
from faults.results import Result, files, store
from faults.trials import Experiment, Loss, Reference, Row, dvc, killed, module, reference, repeat

RARE = 4
"""Disks and servers are disturbed a quarter as often: there the moments differ less."""
WEIGHTS = ("models/**/*", "reports/*/methods/**/history.csv", "reports/*/methods/**/cost.json")


@dataclass(frozen=True)
class Options:
    times: int
    seed: int
    jobs: int

    @property
    def rarely(self) -> int:
        return -(-self.times // RARE)


def _downloads(folder: Path) -> Result:
    return files(folder, "data/raw/*", "data/archives/**/*")


def _prepared(folder: Path) -> Result:
    return files(folder, "data/prepared/**/*", "reports/*/data/*")


def _trained_and_recorded(folder: Path) -> Result:
    return files(folder, "*.bin", *WEIGHTS) | store(folder)


def _experiment(name: str, templates: Templates) -> Experiment:
    """What is disturbed; its DVC state must be clean in the end."""
    if name == "download":
        clean = dvc("status", "-q", "download@terrain")
        return Experiment(name, templates.base, dvc("repro", "download@terrain"), _downloads, (clean,))
    if name == "prepare":
        clean = dvc("status", "-q", "prepare@terrain")
        return Experiment(name, templates.downloaded, dvc("repro", "prepare@terrain"), _prepared, (clean,))
    if name == "train":
        return Experiment(
            name, templates.prepared, dvc("repro", TRIAL), _trained_and_recorded, (dvc("status", "-q", TRIAL),)
        )
    if name == "flow":
        return Experiment(name, templates.flow, module("flows"), _trained_and_recorded, (dvc("status", "-q"),))
    if name == "server":  # what follows the training comes from DVC's cache, and only if the weights are the same
        after = (dvc("repro"), module("record"), dvc("status", "-q"))
        return Experiment(name, templates.prepared_with_cache, dvc("repro", TRIAL), _trained_and_recorded, after)
    return Experiment(name, templates.complete, module("record"), _trained_and_recorded)


def _kill(name: str, row: Row, templates: Templates, options: Options, workshop: Path) -> None:
    experiment = _experiment(name, templates)
    expected = reference(experiment, workshop)
    trial = partial(_as_trial, killed, experiment, expected, options.seed)
    repeat(row, options.times, options.jobs, workshop / name, trial)


def _fill(name: str, row: Row, templates: Templates, options: Options, workshop: Path) -> None:
    if reason := disks.cannot_mount():
        row.skipped = reason
        return
    experiment = _experiment(name, templates)
    expected = reference(experiment, workshop / "full")
    trial = partial(_as_trial, disks.full, experiment, expected, options.seed)
    repeat(row, options.rarely, options.jobs, workshop / f"full-{name}", trial)


def _forbid(name: str, row: Row, templates: Templates, options: Options, workshop: Path) -> None:
    if reason := disks.cannot_mount():
        row.skipped = reason
        return
    experiment = _experiment("record", templates)
    expected = reference(experiment, workshop / "read-only")
    trial = partial(_as_trial, disks.read_only, experiment, expected, options.seed)
    repeat(row, min(2, options.times), options.jobs, workshop / "read-only", trial)


def _cut(name: str, row: Row, templates: Templates, options: Options, workshop: Path) -> None:
    experiment = _experiment("server", templates)
    expected = reference(experiment, workshop, servers.beside)
    trial = partial(_as_trial, servers.cut, experiment, expected, options.seed)
    repeat(row, options.rarely, options.jobs, workshop / name, trial)


def _as_trial(
    disturb: Callable[..., Loss], experiment: Experiment, expected: Reference, seed: int, folder: Path, number: int
) -> Loss:
    return disturb(experiment, expected, folder, number, seed)


EXPERIMENTS: dict[str, tuple[str, Callable[..., None]]] = {
    "download": ("download killed", _kill),
    "prepare": ("prepare killed", _kill),
    "train": ("training killed", _kill),
    "record": ("record killed", _kill),
    "flow": ("flow killed", _kill),
    "full-prepare": ("disk full in prepare", _fill),
    "full-train": ("disk full in training", _fill),
    "full-record": ("disk full in record", _fill),
    "read-only": ("store read-only", _forbid),
    "server": ("MLflow server cut in training", _cut),
}
"""Name -> what the table calls it, and who does it."""


def count(names: Iterable[str], options: Options, workshop: Path) -> list[Row]:
    """Does the named experiments below a folder; returns a row of the table for each.

    Raises:
        UserError: an undisturbed run fails, or this checkout cannot be copied.
    """
    rows = []
    with servers.serving(small_archive()) as archive:
        templates = Templates(workshop / "templates", archive.url, archive.sha256)
        for name in names:
            fault, experiment = EXPERIMENTS[name]
            rows.append(Row(fault))
            experiment(name.removeprefix("full-"), rows[-1], templates, options, workshop)
    return rows
