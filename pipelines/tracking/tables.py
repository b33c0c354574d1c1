"""The tables of a new SQLite store, made whole or not at all.

MLflow makes them in a hundred steps, and cannot go on from the middle: whoever is stopped there leaves a store that fails
every later command. So they are made in memory, and come into the file in one transaction of SQLite, which rolls back what
a kill or a full disk left.
"""

from __future__ import annotations

import contextlib
import fcntl
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import cast

ALEMBICS = "alembic_version"
"""Holds the last step of the tables' making that was taken."""
FILLED_BY_MLFLOW = {ALEMBICS, "workspaces"}
"""Tables that have rows in a store that nobody has used."""


def make_tables(path: Path) -> bool:
    """Gives an SQLite store its tables if it has none, or some from a making that was interrupted, and no row in them.

    Several processes may do so at once.

    Args:
        path: of the store; it and its folder are made if they are not there. An empty file counts as not there.

    Returns:
        Whether there were tables that had been made by half.

    Raises:
        sqlite3.Error: no database, or one that cannot be written; the file is as it was.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    if not _lacks_tables(path):
        return False
    with opened_by_one(path):
        if not _lacks_tables(path):  # another process was faster
            return False
        with _new_store() as new, contextlib.closing(sqlite3.connect(path, timeout=60)) as store:  # seconds
            was_begun = bool(_tables(store))
            new.backup(store)
    return was_begun


@contextlib.contextmanager
def opened_by_one(path: Path) -> Iterator[None]:
    """Lets one process at a time make what is missing: two that make the tables of a new SQLite store fail each other."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_name(f"{path.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _lacks_tables(path: Path) -> bool:
    """Of a store that holds nothing: whether it has none at all, or was begun by MLflow and not finished."""
    if not path.exists():
        return True
    with contextlib.closing(sqlite3.connect(path, timeout=60)) as store:  # seconds
        tables = _tables(store)
        if not tables:
            return True
        if not tables & {ALEMBICS, "experiments"}:  # another program's
            return False
        if any(_rows(store, table) for table in tables - FILLED_BY_MLFLOW):
            return False
        made = _rows(store, ALEMBICS) if ALEMBICS in tables else []
    from mlflow.store.db.utils import _get_latest_schema_revision

    return made != [(_get_latest_schema_revision(),)]


def _tables(store: sqlite3.Connection) -> set[str]:
    return {name for (name,) in store.execute("SELECT name FROM sqlite_master WHERE type = 'table'")} - {"sqlite_sequence"}


def _rows(store: sqlite3.Connection, table: str) -> list[tuple[object, ...]]:
    return store.execute(f'SELECT * FROM "{table}" LIMIT 2').fetchall()


@contextlib.contextmanager
def _new_store() -> Iterator[sqlite3.Connection]:
    """A database in memory, as MLflow makes it in a file."""
    from mlflow.store.db.utils import _initialize_tables
    from sqlalchemy import create_engine
    from sqlalchemy.pool import StaticPool

    engine = create_engine("sqlite://", poolclass=StaticPool)  # one connection: each would have a database of its own
    try:
        _initialize_tables(engine)
        with contextlib.closing(engine.raw_connection()) as connection:
            yield cast(sqlite3.Connection, connection.driver_connection)
    finally:
        engine.dispose()
