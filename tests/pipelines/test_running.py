"""Stages as children of a run: what they wait for, when they end, in which order they start. Without Prefect."""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest

from pipelines.running import command as running_command
from pipelines.running import waiting
from pipelines.running.command import StageError, reproduce
from pipelines.running.jobs import has_failed, run_all
from pipelines.running.waiting import RunEnded, ended, wait_while
from tests.pipelines.test_process import still_alive
from tests.pipelines.toy import make_toy, write_dag
from tests.project import environment, run

WAIT_FOR_GO = "sh -c 'echo $$ > began; while ! test -e go; do sleep 0.1; done; cp data.txt weights.txt' {}"
ADVICE = "manually remove"
"""What DVC says of its list of files in use."""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = make_toy(tmp_path_factory.mktemp("running"))
    assert run(folder, "dvc", "repro", "download@toy").returncode == 0
    return folder


@pytest.fixture
def toy(made: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Iterator[Path]:
    monkeypatch.chdir(made)
    monkeypatch.setattr(waiting, "QUIET_SECONDS", 0.0)
    ended.clear()
    write_dag(made, train=WAIT_FOR_GO.format(abs(hash(request.node.name))))  # DVC remembers what a command has made
    for name in ("began", "go", "weights.txt", "table.txt"):
        (made / name).unlink(missing_ok=True)
    yield made
    ended.clear()


def until(ready: Callable[[], object], seconds: float = 240) -> None:
    deadline = time.monotonic() + seconds
    while not ready():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@contextmanager
def started(folder: Path, *command: str) -> Iterator[subprocess.Popen[bytes]]:
    """A person's DVC command; what fails meanwhile lets its stage go, so that nothing waits for it."""
    quiet = subprocess.DEVNULL
    line = [sys.executable, "-m", "dvc", *command]
    with subprocess.Popen(line, cwd=folder, env=environment(folder), stdout=quiet, stderr=quiet) as dvc:
        try:
            yield dvc
        finally:
            (folder / "go").touch()


def test_what_is_waited_for_is_said_and_the_wait_has_an_end() -> None:
    ended.clear()  # whatever ran before in this process
    lines: list[str] = []
    left = [["process 7: dvc repro"], ["process 7: dvc repro"], []]
    wait_while(lambda: left.pop(0), "train@toy", lines.append, quiet_seconds=0, poll_seconds=0.01)
    assert lines == ["train@toy waits until this ends, 20 hours at most: process 7: dvc repro"]
    with pytest.raises(ValueError, match="train@toy has waited 0 hours for process 7: dvc repro; end it with Ctrl-C or"):
        wait_while(lambda: ["process 7: dvc repro"], "train@toy", lines.append, patience_hours=0, poll_seconds=0.01)
    ended.set()
    with pytest.raises(RunEnded):
        wait_while(lambda: ["process 7"], "train@toy", lines.append)
    ended.clear()


@pytest.mark.slow
@pytest.mark.parametrize("command", [["repro"], ["repro", "--single-item", "train@toy-net"]])
def test_a_stage_waits_for_a_persons_own_repro_and_goes_on(toy: Path, command: list[str]) -> None:
    """The second command is of one stage, as a flow's: it is in the way of this stage alone, and only while it runs."""
    lines: list[str] = []
    with started(toy, *command) as dvc:
        until(lambda: (toy / "began").exists())
        with ThreadPoolExecutor() as pool:
            stage = pool.submit(reproduce, "train@toy-net", toy, 0.1, lines.append)
            until(lambda: any("waits until" in line for line in lines))
            assert not stage.done()
            (toy / "go").touch()
            stage.result(120)
        assert dvc.wait(240) == 0
    log = "\n".join(lines)
    (waits,) = [line for line in lines if "waits" in line]
    assert waits.startswith(f"train@toy-net waits until this ends, 20 hours at most: process {dvc.pid}: ")
    assert waits.endswith(f"dvc {' '.join(command)}")
    assert ADVICE not in log
    assert "Stage 'train@toy-net' didn't change, skipping" in log
    assert run(toy, "dvc", "status", "train@toy-net").stdout.strip() == "Data and pipelines are up to date."


@pytest.mark.slow
def test_the_name_of_a_dead_process_that_another_has_by_now_is_taken_out(
    toy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """After a restart of the machine any program may have the number that DVC noted."""
    (toy / "go").touch()
    entry = {"pid": os.getpid(), "cmd": "/somewhere/dvc repro train@toy-net"}
    (toy / ".dvc/tmp/rwlock").write_text(json.dumps({"write": {str(toy / "weights.txt"): entry}, "read": {}}))
    assert ADVICE in run(toy, "dvc", "repro", "--single-item", "train@toy-net").stderr
    lines: list[str] = []
    reproduce("train@toy-net", toy, 0.1, lines.append)
    assert "rwlock named processes that have ended" in capsys.readouterr().err
    assert (toy / "weights.txt").read_text() == "data\n"
    assert ADVICE not in "\n".join(lines)


@pytest.mark.slow
@pytest.mark.parametrize("why", ["time limit", "end of the run"])
def test_a_stage_that_is_ended_leaves_no_process_and_a_folder_that_works(
    toy: Path, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ahead = [0.0]  # seconds, of the clock that the time limit is read from
    monkeypatch.setattr(running_command, "time", SimpleNamespace(monotonic=lambda: time.monotonic() + ahead[0]))
    with ThreadPoolExecutor() as pool:
        stage = pool.submit(reproduce, "train@toy-net", toy, 1.0, lambda line: None)
        until(lambda: (toy / "began").exists() and (toy / "began").read_text())
        if why == "time limit":
            ahead[0] = 3600.0
            with pytest.raises(StageError, match=r"train@toy-net did not end within 1 hours and was stopped: .*checkpoint"):
                stage.result(120)
        else:
            ended.set()
            with pytest.raises(RunEnded, match="train@toy-net: the run was ended"):
                stage.result(120)
    assert not still_alive([int((toy / "began").read_text())])
    (toy / "go").touch()
    again = run(toy, "dvc", "repro")
    assert again.returncode == 0, again.stderr
    assert (toy / "table.txt").exists()


def test_jobs_start_when_what_they_need_is_done_and_no_more_at_once_than_asked() -> None:
    needs = {"a": set(), "b": {"a"}, "c": {"a"}, "d": {"b", "c"}, "e": {"d"}}
    running, most, order, guard = set[str](), list[int](), list[str](), threading.Lock()
    together = threading.Barrier(2, timeout=30)

    def work(stage: str) -> None:
        with guard:
            running.add(stage)
            most.append(len(running))
        if stage in "bc":
            together.wait()
        with guard:
            running.remove(stage)
            order.append(stage)

    with ThreadPoolExecutor() as pool:
        done = run_all(["a", "b", "c", "e"], needs, 2, lambda stage: pool.submit(work, stage))  # d is up to date
    assert not any(has_failed(future) for future in done)
    assert order[0] == "a"
    assert order[-1] == "e"  # needs b and c, through d
    assert max(most) == 2


def test_after_a_failure_nothing_starts_and_what_runs_ends_well() -> None:
    go = threading.Event()

    def work(stage: str) -> str:
        if stage == "bad":
            go.set()
            raise ValueError("no")
        assert go.wait(30)
        return stage

    needs: dict[str, set[str]] = {"bad": set(), "good": set(), "later": {"good"}, "third": set()}
    with ThreadPoolExecutor() as pool:
        done: list[Future[str]] = run_all(list(needs), needs, 2, lambda stage: pool.submit(work, stage))
    assert [has_failed(future) for future in done] == [True, False]
