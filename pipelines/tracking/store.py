"""The MLflow store: whether it can be used, and what it raises where it cannot."""

from __future__ import annotations

import contextlib
import logging
import os
import re
import sqlite3
import sys
from pathlib import Path
from typing import Any

from pipelines.loopback import without_proxy
from pipelines.tracking.move import ARTIFACTS, bring_home
from pipelines.tracking.tables import make_tables, opened_by_one

# MLflow's own patience with a server that does not answer is four minutes; a training waits half a minute at most.
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")
os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")  # a line in a log for each of its redraws
os.environ.update(without_proxy())


_OF_DATABASE = re.compile(r"^\(\w+(?:\.\w+)*Error\) (.+)$", re.MULTILINE)
"""How SQLAlchemy passes on what the database said: `(sqlite3.OperationalError) database is locked`."""
_ANEW = "move it away: a new record is made from the last results"
_INTERRUPTED = f"an upgrade of its tables was interrupted: bring back a copy of it, or {_ANEW}"
_REMEDIES = {
    "not a database": _ANEW,
    "disk image is malformed": _ANEW,
    "disk is full": "free some disk space",
    "No space left on device": "free some disk space",
    "readonly database": "make it and its folder writable, or copy the project to a folder that is",
    "unable to open database file": "make its folder writable, or copy the project to one that is",
    "duplicate column name": _INTERRUPTED,
    r"^table \w+ already exists": _INTERRUPTED,
    "database is locked": "another process writes to it and does not end; with several at once use a server (`make up`)",
}


def store_errors() -> tuple[type[Exception], ...]:
    """What a store that cannot be used raises: MLflow lets the errors of SQLAlchemy and a missing driver through."""
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    return MlflowException, SQLAlchemyError, ImportError, OSError


def check_sqlite(uri: str, through_server: bool = True) -> None:
    """Fails at once where MLflow would try an unusable SQLite file again for two minutes.

    A new one gets its tables: see `pipelines.tracking.tables`. One that was moved or copied here is made at home: see
    `pipelines.tracking.move`.

    Args:
        uri: of any store; only SQLite's are looked at.
        through_server: whether an MLflow server will use it, which knows where the artifacts are that went through one.

    Raises:
        OSError: the file is no database, or it or the folder for it cannot be written.
    """
    if not is_sqlite(uri):
        return
    path = _database(uri)
    if not path.exists():
        folder = next(parent for parent in path.absolute().parents if parent.exists())
        if not folder.is_dir() or not os.access(folder, os.W_OK):
            raise OSError(f"{folder} is not a folder that can be written")
    try:
        if path.exists():
            with contextlib.closing(sqlite3.connect(path, timeout=60)) as database:  # seconds: another run may be writing
                database.execute("BEGIN IMMEDIATE")
                database.execute("CREATE TABLE pennet_tries_to_write (x)")  # locking alone writes no byte to the folder
                database.rollback()
        if make_tables(path):
            warn(f"{path}: an earlier process was ended while it made the tables, and left no row in them; made them anew")
        bring_home(path, served_too=not through_server)
    except sqlite3.DatabaseError as error:
        raise OSError(f"{path}: {first_line(error)}") from error


def experiment(name: str, uri: str) -> Any:
    """The experiment of that name, made if there is none, and MLflow's active one.

    A new one in an SQLite store keeps its artifacts beside the store: MLflow would put them into the folder that it happens
    to run in, which for a study is one that people delete.

    Raises:
        MlflowException: the store cannot be used, or the experiment was deleted in MLflow's pages.
    """
    import mlflow
    from mlflow.exceptions import MlflowException

    with opened_by_one(_database(uri)) if is_sqlite(uri) else contextlib.nullcontext():
        found = mlflow.get_experiment_by_name(name)
        location = str(store_folder(uri) / ARTIFACTS / name) if is_sqlite(uri) else None
        try:
            identifier = found.experiment_id if found else mlflow.create_experiment(name, artifact_location=location)
        except MlflowException as error:
            found = mlflow.get_experiment_by_name(name)
            if found is None or error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
            identifier = found.experiment_id  # another training of the same server was faster
    # By number: where two make one name at once, MLflow returns it to the second without making it active.
    return mlflow.set_experiment(experiment_id=identifier)


def is_sqlite(uri: str) -> bool:
    return uri.startswith("sqlite")


def store_folder(uri: str) -> Path:
    """The folder of an SQLite store."""
    return _database(uri).absolute().parent


def _database(uri: str) -> Path:
    from sqlalchemy.engine import make_url

    return Path(make_url(uri).database or "")


def warn(message: str) -> None:
    print(f"warning: {message}", file=sys.stderr, flush=True)


def first_line(error: BaseException) -> str:
    """Why a store failed, in one line and with the remedy if there is one: the database's own words, where it has said any.

    SQLAlchemy's first line may be about its own inner life ("Query-invoked autoflush"), and a server hands that on.
    """
    said = _OF_DATABASE.search(str(error))
    reason = said[1] if said else (str(error).strip() or type(error).__name__).splitlines()[0]
    return reason + next((f"; {remedy}" for words, remedy in _REMEDIES.items() if re.search(words, reason)), "")


def _is_news(record: logging.LogRecord) -> bool:
    """False for the tracebacks of a database that fails: who called reports it, in one line."""
    return not (record.exc_info and record.levelno >= logging.ERROR)


logging.getLogger("mlflow.store.db.utils").addFilter(_is_news)
