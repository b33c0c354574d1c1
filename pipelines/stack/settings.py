"""What `make up VARIABLE=value` can set, and the addresses that follow from it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from pennet.errors import UserError

POOL = "gpu-pool"
GPU_SLOT = "gpu"
DEPLOYMENT = "benchmark/nightly"
DEFAULT_FOLDER = Path(".stack")


@dataclass(frozen=True)
class Settings:
    """The stack of one data folder.

    Attributes:
        folder: logs, what runs, and Prefect's data where `PREFECT_HOME` says nothing else.
        prefect_port: of Prefect's API and pages, on 127.0.0.1.
        mlflow_port: of MLflow's API and pages, on 127.0.0.1.
        gpu_slots: trainings that may run at once; None for as it was, at first 1.
        database_url: of a PostgreSQL database for both servers; None for an SQLite file each.
    """

    folder: Path
    prefect_port: int
    mlflow_port: int
    gpu_slots: int | None
    database_url: str | None

    @property
    def prefect_url(self) -> str:
        return f"http://127.0.0.1:{self.prefect_port}"

    @property
    def api_url(self) -> str:
        return f"{self.prefect_url}/api"

    @property
    def mlflow_url(self) -> str:
        return f"http://127.0.0.1:{self.mlflow_port}"

    @property
    def logs(self) -> Path:
        return self.folder / "logs"

    @property
    def prefect_home(self) -> Path:
        return Path(os.environ.get("PREFECT_HOME") or self.folder / "prefect").absolute()


def settings() -> Settings:
    """Reads the environment, which is where make puts what its command line sets.

    Raises:
        UserError: a number that is none, or one port for two servers.
    """
    prefect_port, mlflow_port = _number("PREFECT_PORT", 4200, 65535), _number("MLFLOW_PORT", 5000, 65535)
    assert prefect_port and mlflow_port
    if prefect_port == mlflow_port:
        raise UserError(f"PREFECT_PORT and MLFLOW_PORT are both {prefect_port}; give each server a port of its own")
    return Settings(
        folder=Path(os.environ.get("STACK_DIR") or DEFAULT_FOLDER),
        prefect_port=prefect_port,
        mlflow_port=mlflow_port,
        gpu_slots=_number("GPU_SLOTS", None, 1024),
        database_url=os.environ.get("DATABASE_URL") or None,
    )


def _number(name: str, default: int | None, highest: int) -> int | None:
    value = os.environ.get(name)
    if not value:
        return default
    if not value.isascii() or not value.isdigit() or not 1 <= int(value) <= highest:
        raise UserError(f"{name} is {value!r}; it must be a whole number from 1 to {highest}")
    return int(value)
