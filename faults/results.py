"""What a trial leaves, in a form that can be compared: digests of files, and what the MLflow store holds.

The store is read with sqlite3, not with MLflow: the check is no part of what is checked.
"""

from __future__ import annotations

import hashlib
import re
import sqlite3
from collections import Counter, defaultdict
from contextlib import closing
from pathlib import Path

from faults.projects import STORE

_UNSTABLE = re.compile(r"seconds|images_per_second|peak_memory|^system/")
"""Names of metrics that are another number in every run."""
_ONE_OF_MANY = re.compile(r"\+timestamp\+[0-9]+\+[0-9a-f-]{36}")
_WHILE_IT_RAN = "/artifacts/images/samples+"
"""Sheets that a training shows while it runs. What the store does not take then is dropped, and no result."""
_OWN_TAGS = ("pennet.identity", "pennet.benchmark", "pennet.recorded")
_IGNORED = (".git", ".dvc", ".prefect", ".cache", STORE, "__pycache__")

Result = dict[str, str]


def files(folder: Path, *patterns: str) -> Result:
    """The sha256 of every file that a pattern matches."""
    paths = {path for pattern in patterns for path in folder.glob(pattern) if path.is_file()}
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


def paths(folder: Path) -> set[str]:
    """All files of the project, those aside that its tools name differently each time."""
    found = set()
    for path in folder.rglob("*"):
        relative = path.relative_to(folder)
        if path.is_file() and not any(part in _IGNORED for part in relative.parts):
            found.add(str(relative))
    return found


def store(folder: Path) -> Result:
    """Runs with their state and every point of their curves, versions, aliases, and the files of runs."""
    path = folder / STORE / "mlflow.db"
    if not path.exists():
        return {"store": "none"}
    held: Result = {}
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=60)) as database:
        query = database.execute
        runs = query("SELECT run_uuid, status FROM runs WHERE lifecycle_stage = 'active' ORDER BY start_time").fetchall()
        for number, (run_id, status) in enumerate(runs, start=1):
            run = f"run {number}"
            held[f"{run}: status"] = status
            tags = dict(query("SELECT key, value FROM tags WHERE run_uuid = ?", (run_id,)))
            held |= {f"{run}: {tag}": tags.get(tag, "none") for tag in _OWN_TAGS}
            curves: dict[str, list[str]] = defaultdict(list)
            for key, step, value in query(
                "SELECT key, step, value FROM metrics WHERE run_uuid = ? ORDER BY key, step, timestamp", (run_id,)
            ):
                if _UNSTABLE.search(key):
                    continue
                point = f"{step}: {value!r}"
                if key.startswith("train/") or point not in curves[key]:  # a score may be said twice, a point may not
                    curves[key].append(point)
            held |= {f"{run}: {key}": ", ".join(points) for key, points in curves.items()}
            held[f"{run}: parameters"] = str(
                sorted(query("SELECT key, value FROM params WHERE run_uuid = ?", (run_id,)).fetchall())
            )
            held |= _artifacts(folder / STORE, run, run_id)
        held["versions"] = str(sorted(query("SELECT name, version, status FROM model_versions").fetchall()))
        held["aliases"] = str(sorted(query("SELECT name, alias, version FROM registered_model_aliases").fetchall()))
    return held


def _artifacts(folder: Path, run: str, run_id: str) -> Result:
    """Files of a run: how many of each name, and the digests of its report."""
    roots = [path for path in folder.rglob(run_id) if path.is_dir()]
    found = (path for root in roots for path in root.rglob("*") if path.is_file())
    here = [path for path in found if _WHILE_IT_RAN not in str(path)]
    names = Counter(_ONE_OF_MANY.sub("", str(path).split(run_id, 1)[1]) for path in here)
    digests = {
        f"{run}: {path.name}": hashlib.sha256(path.read_bytes()).hexdigest() for path in here if path.parent.name == "report"
    }
    return {f"{run}: {name}": f"{count} times" for name, count in names.items()} | digests


def differences(expected: Result, found: Result) -> list[str]:
    """A readable entry for each value that differs."""
    missing = "missing"
    return [
        f"{key}: {_short(found.get(key, missing))} instead of {_short(expected.get(key, missing))}"
        for key in sorted({*expected, *found})
        if expected.get(key) != found.get(key)
    ]


def _short(text: str) -> str:
    return text if len(text) <= 90 else f"{text[:60]}...{text[-27:]}"
