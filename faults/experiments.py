"""Which experiments there are: what is disturbed, in which way, and what is compared in the end."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from faults import disks, servers
from faults.processes import end_all
from faults.projects import TRIAL, Templates, small_archive
from faults.results import Result, files, store
from faults.trials import (
    Beside,
    Experiment,
    Loss,
    Reference,
    Row,
    dvc,
    killed,
    module,
    nothing_beside,
    reference,
    repeat,
)

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


class Counting:
    """Does experiments below one folder. They share templates and references."""

    def __init__(self, templates: Templates, options: Options, workshop: Path) -> None:
        self._templates, self._options, self._workshop = templates, options, workshop
        self._references: dict[str, Reference] = {}

    def kill(self, name: str, row: Row) -> None:
        self._repeat(name, row, self._options.times, name, killed)

    def fill(self, name: str, row: Row) -> None:
        if not self._is_skipped(row):
            self._repeat(name.removeprefix("full-"), row, self._options.rarely, name, disks.full)

    def forbid(self, name: str, row: Row) -> None:
        if not self._is_skipped(row):
            self._repeat("record", row, min(2, self._options.times), name, disks.read_only)

    def cut(self, name: str, row: Row) -> None:
        self._repeat(name, row, self._options.rarely, name, servers.cut, servers.beside)

    @staticmethod
    def _is_skipped(row: Row) -> bool:
        row.skipped = disks.cannot_mount()
        return bool(row.skipped)

    def _repeat(
        self,
        what: str,
        row: Row,
        times: int,
        name: str,
        disturb: Callable[[Experiment, Reference, Path, int, int], Loss],
        beside: Beside = nothing_beside,
    ) -> None:
        experiment = _experiment(what, self._templates)
        if what not in self._references:
            self._references[what] = reference(experiment, self._workshop, beside)
        expected, seed = self._references[what], self._options.seed
        folder = self._workshop / name
        repeat(row, times, self._options.jobs, folder, lambda own, n: disturb(experiment, expected, own, n, seed))


EXPERIMENTS: dict[str, tuple[str, Callable[[Counting, str, Row], None]]] = {
    "download": ("download killed", Counting.kill),
    "prepare": ("prepare killed", Counting.kill),
    "train": ("training killed", Counting.kill),
    "record": ("record killed", Counting.kill),
    "flow": ("flow killed", Counting.kill),
    "full-prepare": ("disk full in prepare", Counting.fill),
    "full-train": ("disk full in training", Counting.fill),
    "full-record": ("disk full in record", Counting.fill),
    "read-only": ("store read-only in training and record", Counting.forbid),
    "server": ("MLflow server cut in training", Counting.cut),
}
"""Name -> what the table calls it, and who does it."""


def count(names: Iterable[str], options: Options, workshop: Path) -> list[Row]:
    """Does the named experiments below a folder; returns a row of the table for each.

    Raises:
        UserError: an undisturbed run fails, or this checkout cannot be copied.
    """
    rows = []
    with servers.serving(small_archive()) as archive:
        counting = Counting(Templates(workshop / "templates", archive.url, archive.sha256), options, workshop)
        try:
            for name in names:
                fault, do = EXPERIMENTS[name]
                rows.append(Row(fault))
                do(counting, name, rows[-1])
        finally:  # of trials that an interrupt cut short
            end_all(workshop, and_below=True)
    return rows
