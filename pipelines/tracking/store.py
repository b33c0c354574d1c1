"""The MLflow store: whether it can be used, and what it raises where it cannot."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import sys
from pathlib import Path
from typing import Any

from pipelines.loopback import without_proxy

# MLflow's own patience with a server that does not answer is four minutes; a training waits half a minute at most.
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")
os.environ.update(without_proxy())


def store_errors() -> tuple[type[Exception], ...]:
    """What a store that cannot be used raises: MLflow lets the errors of SQLAlchemy and a missing driver through."""
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    return MlflowException, SQLAlchemyError, ImportError, OSError


def check_sqlite(uri: str) -> None:
    """Fails at once where MLflow would try an unusable SQLite file again for two minutes. An empty file can be used.

    Raises:
        OSError: the file is no database, or it or the folder for it cannot be written.
    """
    from sqlalchemy.engine import make_url

    if not uri.startswith("sqlite"):
        return
    path = Path(make_url(uri).database or "")
    if not path.exists():
        folder = next(parent for parent in path.absolute().parents if parent.exists())
        if not folder.is_dir() or not os.access(folder, os.W_OK):
            raise OSError(f"{folder} is not a folder that can be written")
        return
    try:
        with contextlib.closing(sqlite3.connect(path, timeout=60)) as database:  # seconds: another run may be writing
            database.execute("BEGIN IMMEDIATE")
            database.rollback()
    except sqlite3.DatabaseError as error:
        damaged = "; move it away: a new record is made from the last results" if "not a database" in str(error) else ""
        raise OSError(f"{path}: {error}{damaged}") from error


def experiment(name: str, uri: str) -> Any:
    """The experiment of that name, made if there is none.

    A new one in an SQLite store keeps its artifacts beside the store: MLflow would put them into the folder that it happens
    to run in, which for a study is one that people delete.
    """
    import mlflow
    from mlflow.exceptions import MlflowException
    from sqlalchemy.engine import make_url

    if uri.startswith("sqlite") and mlflow.get_experiment_by_name(name) is None:
        artifacts = Path(make_url(uri).database or "").absolute().parent / "mlruns" / name
        with contextlib.suppress(MlflowException):  # another training was faster
            mlflow.create_experiment(name, artifact_location=str(artifacts))
    return mlflow.set_experiment(name)


def warn(message: str) -> None:
    print(f"warning: {message}", file=sys.stderr, flush=True)


def first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
