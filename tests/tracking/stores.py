"""What the tests of the record share: one training, and where its record is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import mlflow

from pennet.config import TrackingConfig

TRIAL = ("terrain", "pennet", 2019)
IDENTITY = {"dataset": "terrain", "method": "pennet", "seed": "2019", "train.steps": "4", "code.pennet/a.py": "1"}


def here() -> str:
    """Absolute: MLflow keeps one open store a URI in a process, whatever folder that process is in by then."""
    return f"sqlite:///{Path.cwd()}/mlflow.db"


def store(uri: str | None = None) -> TrackingConfig:
    return TrackingConfig(uri=uri or here(), experiment="test", registered_model="inpainting")


def the_run() -> Any:
    mlflow.set_tracking_uri(here())
    experiment = mlflow.get_experiment_by_name("test-terrain")
    (found,) = mlflow.MlflowClient().search_runs([experiment.experiment_id])
    return found
