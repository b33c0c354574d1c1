"""The first tables of a store: processes are killed while they make them, and the store is used after that."""

import contextlib
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import mlflow
import pytest

from pipelines.tracking.runs import experiment_of
from pipelines.tracking.store import check_sqlite, first_line, store_errors
from pipelines.tracking.tables import make_tables
from tests.project import ROOT, environment
from tests.tracking.stores import store
from tests.tracking.test_store_errors import small_disk

# Forks for each moment: mlflow is imported once. A moment is the number of an SQL statement, or a size of the file.
KILLED = """
import os, resource, signal, sys
from pathlib import Path
import mlflow.store.tracking.sqlalchemy_store
from sqlalchemy import create_engine, event
from sqlalchemy.engine import Engine
from pipelines.tracking.tables import make_tables

def at_statement(number):
    left = [number]
    @event.listens_for(Engine, "before_cursor_execute")
    def count(connection, cursor, statement, *_):
        left[0] -= statement.lstrip().startswith(("CREATE", "ALTER", "INSERT", "DROP"))
        if left[0] < 0:
            os.kill(os.getpid(), signal.SIGKILL)

def at_byte(number):
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)  # the kernel kills who writes more to a file
    resource.setrlimit(resource.RLIMIT_FSIZE, (number, number))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))

def by_mlflow(path):
    mlflow.store.db.utils._initialize_tables(create_engine(f"sqlite:///{path}"))

made_by = {"us": make_tables, "mlflow": by_mlflow}
for moment in sys.argv[1:]:
    who, what, number, path = moment.split(":")
    child = os.fork()
    if not child:
        {"statement": at_statement, "byte": at_byte}[what](int(number))
        made_by[who](Path(path))
        os._exit(0)
    print(-os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


def kill(folder: Path, *moments: str) -> list[int]:
    """The signals that ended the processes."""
    variables = environment(folder, PYTHONPATH=str(ROOT), PYTHONDONTWRITEBYTECODE="1")
    command = [sys.executable, "-c", KILLED, *moments]
    done = subprocess.run(command, cwd=folder, env=variables, capture_output=True, text=True, timeout=200, check=True)
    return [int(line) for line in done.stdout.split()]


def tables(path: Path) -> set[str]:
    with contextlib.closing(sqlite3.connect(path)) as database:
        return {name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}


@pytest.fixture(scope="module")
def half_made(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Stores as MLflow alone leaves them."""
    folder = tmp_path_factory.mktemp("half made")
    paths = {number: folder / f"{number}.db" for number in (1, 40, 150)}
    moments = [f"mlflow:statement:{number}:{path.name}" for number, path in paths.items()]
    assert kill(folder, *moments) == [9] * len(paths)
    assert [len(tables(path)) for path in paths.values()] == sorted({len(tables(path)) for path in paths.values()})
    return list(paths.values())


def test_kills_leave_no_table_or_all_and_the_store_can_be_used(tmp_path: Path) -> None:
    path = tmp_path / "mlflow.db"
    moments = ["statement:1", "statement:150", "byte:1", "byte:100000", "byte:400000"]
    assert kill(tmp_path, *(f"us:{moment}:{path.name}" for moment in moments)) == [9, 9, 25, 25, 25]
    left = tmp_path / "left.db"
    for name in ("mlflow.db", "mlflow.db-journal"):
        shutil.copy(tmp_path / name, tmp_path / name.replace("mlflow", "left"))
    assert left.stat().st_size > 0  # the last one was stopped while it wrote
    assert tables(left) == set()
    experiment_of("terrain", store(f"sqlite:///{path}"))
    assert not make_tables(path)


def test_what_mlflow_made_by_half_is_made_anew_with_a_word(
    half_made: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for path in half_made:
        mine = Path(shutil.copy(path, tmp_path))
        experiment_of("terrain", store(f"sqlite:///{mine}"))
        with mlflow.start_run(experiment_id=experiment_of("terrain", store(f"sqlite:///{mine}"))):
            mlflow.log_metric("a", 1)
        warnings = [line for line in capsys.readouterr().err.splitlines() if line.startswith("warning: ")]
        why = "an earlier process was ended while it made the tables, and left no row in them; made them anew"
        assert warnings == [f"warning: {mine}: {why}"]


def test_one_with_a_row_is_left_as_it_is_and_the_remedy_said(half_made: list[Path], tmp_path: Path) -> None:
    path = Path(shutil.copy(half_made[-1], tmp_path))
    with contextlib.closing(sqlite3.connect(path)) as database, database:
        database.execute("INSERT INTO experiments (name, lifecycle_stage) VALUES ('theirs', 'active')")
    before = path.read_bytes()
    assert not make_tables(path)
    assert path.read_bytes() == before
    with pytest.raises(store_errors()) as caught:
        experiment_of("terrain", store(f"sqlite:///{path}"))
    assert "an upgrade of its tables was interrupted: bring back a copy of it, or move it away" in first_line(caught.value)


def test_the_database_of_another_program_is_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE theirs (x)")
    assert not make_tables(path)
    assert tables(path) == {"theirs"}


def test_a_full_disk_is_told_in_one_line_and_passes(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", "200k") as disk:
        uri = f"sqlite:///{disk}/mlflow.db"
        with pytest.raises(OSError, match=r"^.*/mlflow\.db: database or disk is full; free some disk space$"):
            check_sqlite(uri)
        assert tables(disk / "mlflow.db") == set()
        subprocess.run(["mount", "-o", "remount,size=8m", str(disk)], check=True)
        check_sqlite(uri)
        assert "runs" in tables(disk / "mlflow.db")
