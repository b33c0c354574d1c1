"""MLflow's server over the project's own store, so that runs that were made without it are seen too."""

from __future__ import annotations

import sys
from pathlib import Path


def artifacts_folder(uri: str) -> Path:
    """Where the server of a store keeps artifacts: `mlruns` beside an SQLite file, where runs without it keep theirs."""
    from sqlalchemy.engine import make_url

    database = make_url(uri).database if uri.startswith("sqlite") else None
    return (Path(database or "mlflow.db").absolute().parent / "mlruns").absolute()


def server_command(artifacts: Path, port: int, workers: int) -> list[str]:
    """The server on 127.0.0.1; its store comes from `MLFLOW_BACKEND_STORE_URI`, which keeps passwords out of `ps`.

    Args:
        artifacts: folder; runs that are made through the server have no path of this machine in their records.
        port: of API and pages.
        workers: processes that answer; one where the store is SQLite, which takes one writer at a time.
    """
    options = ["--host", "127.0.0.1", "--port", str(port), "--workers", str(workers)]
    artifact_options = ["--serve-artifacts", "--artifacts-destination", str(artifacts)]
    return [sys.executable, "-m", "mlflow", "server", *options, *artifact_options]
