"""Stores that cannot be used, or are lost."""

import time
from pathlib import Path

import pytest

from pipelines.tracking.live import live_run
from pipelines.tracking.record import record
from tests.project import run
from tests.stack.stack import free_port
from tests.tracking.stores import IDENTITY, TRIAL, here, store, the_run


def bad_store(kind: str) -> str:
    if kind == "folder":
        Path("mlflow.db").mkdir()
    if kind == "text":
        Path("mlflow.db").write_text("no database " * 100)
    if kind == "file for a folder":
        Path("stores").write_text("")
        return "sqlite:///stores/mlflow.db"
    dead = f"http://127.0.0.1:{free_port()}"
    return {"no driver": "mysql+pymysql://127.0.0.1:9/mlflow", "dead server": dead}.get(kind, here())


@pytest.mark.parametrize("kind", ["folder", "text", "file for a folder", "no driver", "dead server"])
def test_an_unusable_store_is_reported_soon_and_the_training_goes_on(project: Path, capsys, kind: str) -> None:
    uri = bad_store(kind)
    started = time.monotonic()
    with live_run(*TRIAL, IDENTITY, store(uri)) as live:
        live.metrics(1, {"train/generator": 0.5})
    assert time.monotonic() - started < 120  # MLflow by itself tries a dead server for more than four minutes
    assert f"warning: cannot write to the MLflow store {uri}" in capsys.readouterr().err
    with pytest.raises(ValueError, match=r"cannot record in .*; mend tracking.uri and run it again"):
        record(*TRIAL, store(uri))


def test_an_emptied_store_is_filled_again(project: Path) -> None:
    Path("mlflow.db").write_bytes(b"")
    assert record(*TRIAL, store())
    assert the_run().data.metrics["test/l1_hole"] == 0.25


def test_a_store_that_is_no_database_is_named_with_the_remedy(project: Path) -> None:
    Path("mlflow.db").write_text("no database " * 100)
    with pytest.raises(ValueError, match=r"mlflow\.db: file is not a database; move it away: a new record is made"):
        record(*TRIAL, store())
    Path("params.yaml").write_text(Path("params.yaml").read_text().replace("sqlite:///mlflow.db", here()))
    result = run(project, "python", "-m", "pipelines.ui")
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr.startswith("ui: ")
    assert len(result.stderr.splitlines()) == 1
    Path("mlflow.db").rename("mlflow.db.damaged")
    assert record(*TRIAL, store())
