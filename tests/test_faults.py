"""The short form of `make faults`, and that the count finds what is lost: files, processes, points and runs."""

import sqlite3
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import pytest

from faults import trials
from faults.__main__ import table
from faults.experiments import Options, count
from faults.processes import processes_of, start
from faults.projects import STORE
from faults.results import differences, files, store
from faults.trials import Experiment, Reference, Row, disturb, finish, killed

SLEEPERS = "import subprocess, time; [subprocess.Popen(['sleep', '600']) for _ in range(2)]; time.sleep(600)"
TABLES = """
CREATE TABLE runs (run_uuid, status, lifecycle_stage, start_time);
CREATE TABLE tags (run_uuid, key, value);
CREATE TABLE metrics (run_uuid, key, step, value, timestamp);
CREATE TABLE params (run_uuid, key, value);
CREATE TABLE model_versions (name, version, status);
CREATE TABLE registered_model_aliases (name, alias, version);
INSERT INTO runs VALUES ('a', 'FINISHED', 'active', 1);
INSERT INTO metrics VALUES ('a', 'train/generator', 1, 0.5, 1), ('a', 'cost/seconds', 0, 7.0, 1);
"""


@pytest.mark.slow
def test_killed_once_each_nothing_is_lost(tmp_path: Path) -> None:
    rows = count(["download", "train"], Options(times=1, seed=0, jobs=1), tmp_path)
    assert [row.trials for row in rows] == [1, 1]
    assert not any(row.lost for row in rows), table(rows)


@pytest.mark.parametrize(("kind", "left"), [("kill all", 0), ("kill first", 2), ("kill one", 2), ("terminate", 0)])
def test_each_kind_of_fault_ends_what_it_says(tmp_path: Path, kind: str, left: int) -> None:
    folder = tmp_path / "project"
    folder.mkdir()
    process = start(folder, [sys.executable, "-c", SLEEPERS], tmp_path / "log")
    try:
        wait_for(lambda: len(processes_of(folder)) == 3)
        assert len(processes_of(tmp_path, and_below=True)) == 3
        assert processes_of(tmp_path) == []
        disturb(folder, process.pid, kind, 0.99)
        if kind != "kill one":
            process.wait(30)
        wait_for(lambda: len(processes_of(folder)) == left)
    finally:
        disturb(folder, process.pid, "kill all", 0)
        process.wait(30)
    assert processes_of(folder) == []


@pytest.mark.parametrize(
    ("script", "problem"),
    [
        ("echo same > out", ""),
        ("echo other > out", "out: "),
        ("echo same > out; touch .out.tmp", "files are left: .out.tmp"),
        ("echo same > out; sleep 600 &", "a process is left: sleep 600"),
        ("echo no such texture; exit 3", "cannot be finished: no such texture"),
    ],
)
def test_what_a_command_leaves_is_compared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, problem: str
) -> None:
    monkeypatch.setattr(trials, "LEFT_SECONDS", 1.0)
    monkeypatch.setattr(trials, "TRY_AGAIN_SECONDS", 0.1)
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "out").write_text("same\n")
    expected = Reference(1.0, files(folder, "out"), {"out"}, 0)
    experiment = Experiment("toy", lambda: folder, ("/bin/sh", "-c", script), lambda project: files(project, "out"))
    problems = finish(experiment, expected, folder, tmp_path / "log")
    assert len(problems) == bool(problem)
    assert all(problem in said for said in problems)
    assert processes_of(folder) == []


def test_a_command_that_goes_on_where_it_was_killed_loses_nothing_and_one_that_does_not_is_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    template = tmp_path / "template"
    template.mkdir()
    (template / "out").write_text("start\n")
    whole = Reference(0.2, {}, {"out"}, 0)
    for script, lost in (("sleep 2; echo end > out", 0), ("echo x >> out; sleep 2", 1)):

        def result(folder: Path) -> dict[str, str]:
            return {"lines": str(len((folder / "out").read_text().splitlines()))}

        expected = Reference(0.2, {"lines": "1" if not lost else "2"}, whole.paths, 0)
        experiment = Experiment("toy", lambda: template, ("/bin/sh", "-c", script), result)
        trial = tmp_path / f"trial-{lost}"
        trial.mkdir()

        def until_it_has_begun(seconds: float, out: Path = trial / "project/out", lines: int = 1 + lost) -> None:
            wait_for(lambda: len(out.read_text().splitlines()) >= lines)

        monkeypatch.setattr(trials, "time", SimpleNamespace(sleep=until_it_has_begun))
        loss = killed(experiment, expected, trial, 0, seed=0)
        assert len(loss.problems) == lost, str(loss)
        assert loss.fault.startswith("kill all after ")


def wait_for(condition: Callable[[], bool], seconds: float = 240.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_point_that_is_there_twice_and_a_run_that_still_runs_are_seen(tmp_path: Path) -> None:
    assert store(tmp_path) == {"store": "none"}
    (tmp_path / STORE).mkdir()
    with closing(sqlite3.connect(tmp_path / STORE / "mlflow.db")) as database:
        database.executescript(TABLES)
        before = store(tmp_path)
        assert "run 1: cost/seconds" not in before  # another number in every run
        database.executescript(
            "INSERT INTO metrics VALUES ('a', 'train/generator', 1, 0.5, 2); UPDATE runs SET status = 'RUNNING';"
        )
        assert differences(before, store(tmp_path)) == [
            "run 1: status: RUNNING instead of FINISHED",
            "run 1: train/generator: 1: 0.5, 1: 0.5 instead of 1: 0.5",
        ]


def test_the_table_counts_and_says_what_was_skipped() -> None:
    rows = [Row("training killed", 20, ["3: weights"]), Row("disk full", skipped="needs root")]
    assert table(rows).splitlines()[2:] == [
        "| training killed | 20 | 1 | 3: weights |",
        "| disk full | 0 | | skipped: needs root |",
    ]
