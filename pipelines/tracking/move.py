"""Where the artifacts of an SQLite store are: MLflow keeps whole paths, which are wrong once a project was moved or copied.

A store keeps its artifacts in `mlruns` beside it. Whoever opens one that came from elsewhere has its paths changed to that
folder, if the artifacts are there. `python -m pipelines.tracking.move` does it by hand, or for a server.
"""

from __future__ import annotations

import argparse
import contextlib
import sqlite3
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pennet.errors import UserError
from pipelines.params import load_params

ARTIFACTS = "mlruns"
"""Folder beside an SQLite store: the artifacts of its experiments, a folder each, named after them or numbered."""
SERVED = "mlflow-artifacts:/"
"""What a location begins with that only a server knows: it was started with `--artifacts-destination`."""
LOCATIONS = {
    "experiments": ["artifact_location"],
    "runs": ["artifact_uri"],
    "logged_models": ["artifact_location"],
    "model_versions": ["storage_location", "source"],
}
"""Tables and columns of MLflow's database that hold paths of artifacts."""
COMMAND = "python -m pipelines.tracking.move"


class Displaced(OSError):
    """Artifacts of a store are not beside it; says where they are and what to do."""


def bring_home(database: Path, served_too: bool) -> None:
    """Makes the locations of a store that was moved or copied those beside it, with a word on the standard error.

    Nothing is written where all is in place.

    Args:
        database: SQLite file; nothing happens if it is not there yet.
        served_too: also locations that only a server knows, for use without one.

    Raises:
        Displaced: there are artifacts at the old place which are not here, so that new ones would go there.
        sqlite3.Error: no database of MLflow that can be read and written.
    """
    database = database.absolute()
    home, places = _home(database), _places(database, served_too)
    for place in places:
        if lost := _left_behind(database, place):
            raise Displaced(_remedy(database, place, lost))
    if places:
        backup, changed = _rewrite(database, places, home)
        print(
            f"{database}: {changed} paths of artifacts were of {' and '.join(places)} and are of {home} now;"
            f" the store of before is {backup}",
            file=sys.stderr,
            flush=True,
        )


def move(database: Path, served: bool) -> str:
    """Makes all locations those beside the store, or those of a server; what is not there is given up. Idempotent.

    Args:
        database: SQLite file.
        served: for `mlflow server --artifacts-destination` with the folder `mlruns` beside the store.

    Returns:
        What was done.

    Raises:
        UserError: there is no such file.
        sqlite3.Error: no database of MLflow that can be read and written.
    """
    database = database.absolute()
    if not database.is_file():
        raise UserError(f"{database}: no such store; name the file that holds it with --store")
    home, places = _home(database), _places(database, served_too=not served)
    new = SERVED if served else home
    server = f"; start the server with --artifacts-destination {home.rstrip('/')}" if served else ""
    backup, changed = _rewrite(database, [*places, home] if served else places, new)
    lost = [path for path in _paths_below(database, new) if not Path(home + path).exists()]
    _forget(database, [new + path for path in lost])
    what = f"{changed} paths of artifacts are of {new} now" if changed else f"all paths of artifacts are of {new} already"
    missing = f"; {len(lost)} runs and models have none in {home}, and are recorded again" if lost else ""
    return f"{database}: {what}{missing}{f'; the store of before is {backup}' if changed else ''}{server}"


def _home(database: Path) -> str:
    return f"{database.parent / ARTIFACTS}/"


def _places(database: Path, served_too: bool) -> list[str]:
    """What locations begin with that are not beside the store: the `mlruns` of folders that it was in, and a server's.

    An experiment of ours keeps its artifacts in `FOLDER/mlruns/NAME`, one that MLflow placed in `FOLDER/mlruns/NUMBER`.
    Experiment 0 is MLflow's own, in whatever folder the store was first opened.
    """
    if not database.exists() or not _rows(database, "SELECT 1 FROM sqlite_master WHERE name = 'experiments'"):
        return []
    home, places = _home(database), set()
    columns = "experiment_id, name, artifact_location"
    for number, name, location in _rows(database, f"SELECT {columns} FROM experiments WHERE experiment_id != 0"):
        if location and location.startswith(SERVED):
            places |= {SERVED} if served_too else set()
            continue
        for last in (str(name), str(number)):
            place = (location or "").removesuffix(last)
            if place != location and place.startswith("/") and place.endswith(f"/{ARTIFACTS}/") and not _same(place, home):
                places.add(place)
    return sorted(places)


def _same(one: str, other: str) -> bool:
    return one == other or (Path(one).exists() and Path(other).exists() and Path(one).samefile(other))


def _left_behind(database: Path, place: str) -> list[str]:
    """The artifacts of runs and models that are at an old place and not at the new one.

    Of a server's, whose folder nobody knows: the experiments that have runs and no folder here.
    """
    home = Path(_home(database))
    if place != SERVED:
        return [path for path in _paths_below(database, place) if Path(place, path).exists() and not (home / path).exists()]
    rows = _rows(database, "SELECT DISTINCT artifact_location FROM experiments JOIN runs USING (experiment_id)")
    found = [location.removeprefix(SERVED) for (location,) in rows if location and location.startswith(SERVED)]
    return [path for path in found if not (home / path).exists()]


def _paths_below(database: Path, place: str) -> list[str]:
    """Of the runs and models with that beginning of their location: the rest of it."""
    rows = _rows(database, "SELECT artifact_uri FROM runs UNION SELECT artifact_location FROM logged_models")
    return [location.removeprefix(place) for (location,) in rows if location and location.startswith(place)]


def _remedy(database: Path, place: str, lost: list[str]) -> str:
    home = _home(database)
    if place == SERVED:
        return (
            f"{database} was recorded through an MLflow server, and {home} does not hold its experiment {lost[0]}; set"
            " MLFLOW_TRACKING_URI to the server's address, or bring the folder of its --artifacts-destination there"
        )
    return (
        f"{database} came here without its artifacts: those of {len(lost)} runs and models are in {place};"
        f" copy that folder's content to {home} and run this again, or give them up with `{COMMAND}`"
    )


def _rewrite(database: Path, places: list[str], new: str) -> tuple[Path, int]:
    """Replaces beginnings of locations in one transaction; returns where the store of before is and how many changed.

    Another process may have been faster: then there is nothing left to change.
    """
    backup = database.with_name(f"{database.name}.before-move")
    tables = {name for (name,) in _rows(database, "SELECT name FROM sqlite_master WHERE type = 'table'")}
    columns = [(table, column) for table in LOCATIONS if table in tables for column in LOCATIONS[table]]
    with contextlib.closing(sqlite3.connect(database, timeout=60, isolation_level=None)) as connection:  # seconds
        connection.execute("BEGIN IMMEDIATE")
        begins, changed = "substr({column}, 1, {length}) = ?", 0
        for place in places:
            for table, column in columns:
                where = begins.format(column=column, length=len(place))
                (number,) = connection.execute(f"SELECT count(*) FROM {table} WHERE {where}", [place]).fetchone()
                if number and not changed:
                    with contextlib.closing(sqlite3.connect(backup)) as copy, _read(database) as before:
                        before.backup(copy)
                change = f"UPDATE {table} SET {column} = ? || substr({column}, {len(place) + 1}) WHERE {where}"
                changed += connection.execute(change, [new, place]).rowcount
        connection.execute("COMMIT")  # left before, the connection is closed, and all is as it was
    return backup, changed


def _forget(database: Path, lost: list[str]) -> None:
    """Takes from runs and versions without artifacts the tags by which `pipelines.record` would hold them for complete."""
    with contextlib.closing(sqlite3.connect(database, timeout=60)) as connection, connection:  # seconds; one transaction
        for location in lost:
            runs = "SELECT run_uuid FROM runs WHERE artifact_uri = ?"
            connection.execute(f"DELETE FROM tags WHERE key = 'pennet.recorded' AND run_uuid IN ({runs})", [location])
            versions = "(name, version) IN (SELECT name, version FROM model_versions WHERE storage_location = ?)"
            connection.execute(f"DELETE FROM model_version_tags WHERE key = 'pennet.weights' AND {versions}", [location])


def _rows(database: Path, query: str) -> list[tuple[Any, ...]]:
    with _read(database) as connection:
        return connection.execute(query).fetchall()


@contextlib.contextmanager
def _read(database: Path) -> Iterator[sqlite3.Connection]:
    with contextlib.closing(sqlite3.connect(database, timeout=60)) as connection:  # seconds
        yield connection


def main() -> None:
    from sqlalchemy.engine import make_url

    parser = argparse.ArgumentParser(description="Makes the paths of artifacts in a store those beside it, or a server's.")
    parser.add_argument("--store", help="sqlite:///FILE; without it the one of MLFLOW_TRACKING_URI or of params.yaml")
    parser.add_argument("--served", action="store_true", help="for use through `mlflow server` from now on")
    arguments = parser.parse_args()
    try:
        uri = arguments.store or load_params().tracking.uri
        if not uri.startswith("sqlite"):
            raise UserError(f"{uri} is no SQLite store, and holds no paths of this project; name one with --store")
        print(move(Path(make_url(uri).database or ""), arguments.served))
    except sqlite3.Error as error:
        sys.exit(f"move: {uri}: {error}; nothing has changed")
    except (UserError, OSError) as error:
        sys.exit(f"move: {error}")


if __name__ == "__main__":
    main()
