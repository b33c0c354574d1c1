"""Live curves while the store is away: what it costs, and what is left of them."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import mlflow
import pytest
from sqlalchemy import event
from sqlalchemy.engine import Engine

from pipelines.tracking import live
from pipelines.tracking.live import LiveRun


@pytest.fixture
def _impatient() -> Iterator[None]:
    """MLflow waits half a second for a lock, not twenty: it says so to SQLite in every session."""

    def sooner(connection: object, cursor: object, statement: str, parameters: object, *_: object) -> tuple[str, object]:
        return statement.replace("busy_timeout = 20000", "busy_timeout = 500"), parameters

    event.listen(Engine, "before_cursor_execute", sooner, retval=True)
    yield
    event.remove(Engine, "before_cursor_execute", sooner)


@pytest.mark.usefixtures("_impatient")
def test_a_database_that_was_locked_for_a_while_gets_the_points_after_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mlflow.set_tracking_uri(f"sqlite:///{tmp_path}/mlflow.db")
    mlflow.set_experiment("locked")
    with mlflow.start_run() as run:
        curves = LiveRun(last_step=0)
        curves.metrics(1, {"train/generator": 0.5})
        with sqlite3.connect(tmp_path / "mlflow.db", isolation_level=None) as other:
            other.execute("BEGIN EXCLUSIVE")
            curves.metrics(2, {"train/generator": 0.5})
            other.execute("ROLLBACK")
        curves.metrics(3, {"train/generator": 0.5})  # not tried: the pause is not over
        curves.next_attempt = 0.0  # as if it were
        for step in (4, 5):
            curves.metrics(step, {"train/generator": 0.5})
    points = mlflow.MlflowClient().get_metric_history(run.info.run_id, "train/generator")
    assert [point.step for point in points] == [1, 4, 5]
    first, second = [line for line in capsys.readouterr().err.splitlines() if line.startswith("warning: ")]
    assert "does not take the live curves now (database is locked; another process" in first
    assert "takes the live curves again, from step 4 on" in second


def test_a_store_that_stays_away_costs_a_tenth_of_the_time(monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    """A thousand points, one a second, to a server that takes ten seconds to fail."""
    clock = [0.0]

    def fail(values: dict[str, float], step: int) -> None:
        clock[0] += 10
        raise ConnectionError("no route")

    monkeypatch.setattr(live.time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(mlflow, "log_metrics", fail)
    curves = LiveRun(last_step=0)
    for step in range(1, 1001):
        curves.metrics(step, {"train/generator": 0.5})
        clock[0] += 1
    lost = clock[0] - 1000
    assert 20 <= lost <= 110  # tried again, and not often
    assert capsys.readouterr().err.count("warning: ") == 1


def test_points_that_an_earlier_part_of_the_run_sent_are_not_sent_again(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[int] = []
    monkeypatch.setattr(mlflow, "log_metrics", lambda values, step: sent.append(step))
    for curves in (LiveRun(last_step=2), LiveRun(last_step=None)):
        for step in (1, 2, 3):
            curves.metrics(step, {"train/generator": 0.5})
    assert sent == [3]
