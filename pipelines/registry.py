"""The registered models in MLflow: one a data set, a version for every training, tagged with its test metrics."""

from __future__ import annotations

import contextlib
import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pennet.config import TrackingConfig
from pipelines.fingerprint import benchmark_fingerprint

if TYPE_CHECKING:
    from pennet.metrics.report import Report

BENCHMARK_TAG = "pennet.benchmark"
"""The same for all runs that were scored on the same images and masks with the same settings: filter by it, then compare."""
WEIGHTS_TAG = "pennet.weights"
"""SHA-256 of a version's weights: a run that was trained again gets a version of its own."""
REQUIREMENTS = ["torch", "numpy", "pillow", "safetensors", "pydantic"]
"""What the registered model needs to load and inpaint."""


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


def test_values(report: Report) -> dict[str, float]:
    """`l1_hole` -> `test/l1_hole`, with its spread and the ends of its interval.

    Metrics without a value are left out: `test_statuses` has them.
    """
    values: dict[str, float] = {}
    for name, metric in report.overall.items():
        if metric.value is None:
            continue
        parts = {"": metric.value, "_std": metric.std, "_ci_low": metric.ci_low, "_ci_high": metric.ci_high}
        values |= {f"test/{name}{suffix}": float(value) for suffix, value in parts.items() if value is not None}
    return values


def test_statuses(report: Report) -> dict[str, str]:
    """Tags of the metrics without a value: `fid_inception` -> `test.fid_inception.status`, why and how to get it."""
    return {f"test.{name}.status": metric.status for name, metric in report.overall.items() if metric.status != "ok"}


def register(dataset: str, method: str, seed: int | None, model_dir: Path, report: Report, tracking: TrackingConfig) -> None:
    """Logs the weights as a model that inpaints, registers it, and lets the lowest test l1_hole be champion.

    The champion is chosen among the versions of the same benchmark: an l1_hole on other images or masks is no rival.
    """
    import mlflow
    import numpy as np
    from mlflow.models import ModelSignature
    from mlflow.types import Schema, TensorSpec

    client, name = mlflow.MlflowClient(), f"{tracking.registered_model}-{dataset}"
    run = mlflow.active_run()
    assert run is not None  # the caller has opened it
    run_id = run.info.run_id
    weights = hashlib.sha256((model_dir / "generator.safetensors").read_bytes()).hexdigest()
    of_this_run = client.search_model_versions(f"name = '{name}' and run_id = '{run_id}'")
    mine = [version for version in of_this_run if version.tags.get(WEIGHTS_TAG) == weights]
    if mine:
        version = mine[0].version
    else:
        byte = np.dtype(np.uint8)
        signature = ModelSignature(
            Schema([TensorSpec(byte, (-1, -1, -1, 3), "image"), TensorSpec(byte, (-1, -1, -1), "mask")]),
            Schema([TensorSpec(byte, (-1, -1, -1, 3))]),
        )
        info = mlflow.pyfunc.log_model(
            name="generator",
            python_model=str(Path(__file__).with_name("registered_model.py")),
            artifacts={"model_dir": str(model_dir)},
            code_paths=[str(Path(__file__).parents[1] / "pennet")],
            signature=signature,
            pip_requirements=REQUIREMENTS,
            registered_model_name=name,
        )
        version = info.registered_model_version
        client.set_model_version_tag(name, str(version), WEIGHTS_TAG, weights)
    for key, value in test_values(report).items():
        client.set_model_version_tag(name, str(version), key.replace("/", "."), f"{value:.6g}")
    for key, status in test_statuses(report).items():
        client.set_model_version_tag(name, str(version), key, status)
    benchmark = benchmark_fingerprint(dataset)
    client.set_model_version_tag(name, str(version), BENCHMARK_TAG, benchmark)
    client.set_model_version_tag(name, str(version), "method", method)
    client.set_model_version_tag(name, str(version), "seed", str(seed))
    client.set_registered_model_alias(name, f"latest-{method}", str(version))

    versions = client.search_model_versions(f"name = '{name}'")
    rivals = [v for v in versions if v.tags.get(BENCHMARK_TAG) == benchmark and "test.l1_hole" in v.tags]
    scores = {v.version: float(v.tags["test.l1_hole"]) for v in rivals}
    if scores:
        client.set_registered_model_alias(name, "champion", min(scores, key=lambda v: (scores[v], int(v))))
