"""The record in MLflow: one run per fingerprint, live while it trains, complete from its files afterwards.

The only module that talks to MLflow (`registered_model.py` is the file it logs with the weights). Nothing here changes a
result: when the record cannot be kept, training goes on and says so.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pennet.config import TrackingConfig
from pipelines import layout
from pipelines.fingerprint import Fingerprint, run_fingerprint
from pipelines.params import read_yaml

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from pennet.metrics.report import Report

FINGERPRINT_TAG = "pennet.fingerprint"
RECORDED_TAG = "pennet.recorded"
EXPECTED_WARNINGS = (
    "The specified dataset source can",
    "Hint: Inferred schema contains integer",
    ".*An input example was not",
    ".*Add type hints",
)
"""What MLflow says about every data set read from a folder and every model logged with a signature of its own."""
SAMPLE_COMPOSITES = 8
"""Test composites in the run, for the image grid of MLflow's compare page."""

REQUIREMENTS = ["torch", "numpy", "pillow", "safetensors", "opencv-python-headless"]
"""What the registered model needs to load and inpaint."""


class LiveRun:
    """Sends curves and samples to the active MLflow run; the first failure is reported and silences it."""

    def __init__(self, last_step: int):  # -1: there is no run to log to
        self.last_step = last_step
        self.alive = last_step >= 0

    def metrics(self, step: int, values: dict[str, float]) -> None:
        """Logs one point of each curve, unless an earlier part of this run already did."""
        import mlflow

        if step > self.last_step:
            self._attempt(lambda: mlflow.log_metrics(values, step=step))

    def picture(self, step: int, picture: NDArray[np.uint8]) -> None:
        """Logs (H, W, 3) uint8 as a sample of this step."""
        import mlflow

        if step > self.last_step:
            self._attempt(lambda: mlflow.log_image(picture, key="samples", step=step))

    def _attempt(self, log: Callable[[], Any]) -> None:
        from mlflow.exceptions import MlflowException

        if not self.alive:
            return
        try:
            log()
        except (MlflowException, OSError) as error:
            self.alive = False
            _warn(f"MLflow stopped taking the live curves ({_first_line(error)}); training goes on and saves its weights")


@contextlib.contextmanager
def live_run(dataset: str, method: str, tracking: TrackingConfig) -> Iterator[LiveRun]:
    """Opens the run of (data set, method) as configured now, a new one or the one an interrupted training began.

    An exception in the body leaves the run FAILED with the reason in a tag. A store that cannot be written is reported once
    and costs nothing but the record: `python -m pipelines.record` completes it later.
    """
    import mlflow
    from mlflow.exceptions import MlflowException

    fingerprint = run_fingerprint(dataset, method)
    try:
        run = _open_run(dataset, method, fingerprint, tracking, log_system_metrics=True)
        last_step = max(
            (point.step for point in mlflow.MlflowClient().get_metric_history(run.info.run_id, "train/generator")),
            default=0,
        )
    except (MlflowException, OSError) as error:
        _warn(
            f"cannot write to the MLflow store {tracking.uri} ({_first_line(error)}); training goes on and saves its"
            " weights; mend tracking.uri and run `python -m pipelines.record` to complete the record"
        )
        yield LiveRun(last_step=-1)
        return
    status = "FINISHED"
    try:
        yield LiveRun(last_step)
    except BaseException as error:
        status = "KILLED" if isinstance(error, KeyboardInterrupt) else "FAILED"
        with contextlib.suppress(MlflowException, OSError):
            mlflow.set_tag("pennet.error", _first_line(error)[:500])
        raise
    finally:
        with contextlib.suppress(MlflowException, OSError):
            mlflow.end_run(status)


def record(dataset: str, method: str, tracking: TrackingConfig) -> bool:
    """Makes the run of (data set, method) complete from its files: parameters, curves, metrics, pictures, data set, model.

    Idempotent: returns False, having changed nothing, if the run already holds just this.

    Raises:
        ValueError: the files are not there yet, or the store cannot be used.
    """
    import mlflow
    from mlflow.exceptions import MlflowException

    from pennet.metrics.report import read_report

    report_dir, model_dir = layout.report_dir(dataset, method), layout.model_dir(dataset, method)
    try:
        report = read_report(report_dir / "metrics.json")
    except FileNotFoundError as error:
        raise ValueError(f"{error.filename} is missing; run `dvc repro` first") from error
    fingerprint = run_fingerprint(dataset, method)
    files = [report_dir / "metrics.json", model_dir / "generator.safetensors"]
    content = hashlib.sha256(b"".join(file.read_bytes() for file in files if file.exists())).hexdigest()
    try:
        known = _find_run(dataset, fingerprint, tracking)
        if known is not None and known.data.tags.get(RECORDED_TAG) == content and known.info.status == "FINISHED":
            return False
        _open_run(dataset, method, fingerprint, tracking)
        for message in EXPECTED_WARNINGS:
            warnings.filterwarnings("ignore", message, UserWarning)
        try:
            _log_curves(model_dir / "history.csv")
            _log_test_metrics(report)
            _log_pictures(dataset, method)
            _log_data(dataset)
            if model_dir.exists():
                _register(dataset, method, model_dir, report, tracking)
            mlflow.set_tag(RECORDED_TAG, content)
        finally:
            mlflow.end_run()
    except (MlflowException, OSError) as error:
        raise ValueError(
            f"cannot record in {tracking.uri}: {_first_line(error)}; mend tracking.uri and run it again"
        ) from error
    return True


# --- one run per fingerprint -----------------------------------------------------------------------------------------


def _find_run(dataset: str, fingerprint: Fingerprint, tracking: TrackingConfig) -> Any:
    """The run with this fingerprint, or None."""
    import mlflow

    mlflow.set_tracking_uri(tracking.uri)
    experiment = mlflow.set_experiment(f"{tracking.experiment}-{dataset}")
    found = mlflow.MlflowClient().search_runs(
        [experiment.experiment_id], f"tags.`{FINGERPRINT_TAG}` = '{fingerprint.run}'", max_results=1
    )
    return found[0] if found else None


def _open_run(
    dataset: str,
    method: str,
    fingerprint: Fingerprint,
    tracking: TrackingConfig,
    log_system_metrics: bool = False,
) -> Any:
    """Makes the run of this fingerprint the active one, with its parameters and tags."""
    import mlflow

    known = _find_run(dataset, fingerprint, tracking)
    if known is not None:
        return mlflow.start_run(run_id=known.info.run_id, log_system_metrics=log_system_metrics)
    run = mlflow.start_run(
        run_name=f"{method}-{fingerprint.run[:6]}",
        tags={
            FINGERPRINT_TAG: fingerprint.run,
            "dataset": dataset,
            "method": method,
            "dvc.stage": f"{'train' if fingerprint.training else 'inpaint-classical'}@{dataset}-{method}",
            **_provenance(),
        },
        log_system_metrics=log_system_metrics,
    )
    mlflow.log_params(fingerprint.parameters)
    return run


def _active_run_id() -> str:
    import mlflow

    run = mlflow.active_run()
    assert run is not None  # every caller is between `_open_run` and `end_run`
    return str(run.info.run_id)


def _provenance() -> dict[str, str]:
    """Where the run comes from: git commit and dirty flag, DVC experiment."""

    def git(*arguments: str) -> str:
        return subprocess.run(["git", *arguments], capture_output=True, text=True, check=False).stdout.strip()

    tags = {
        "git.commit": git("rev-parse", "HEAD") or "none",
        "git.dirty": str(bool(git("status", "--porcelain", "--untracked-files=no"))).lower(),
    }
    experiment = os.environ.get("DVC_EXP_NAME")
    return tags | ({"dvc.experiment": experiment} if experiment else {})


# --- what a run holds ------------------------------------------------------------------------------------------------


def _log_curves(history_path: Path) -> None:
    """The training curves, unless the live run already holds their last point."""
    import mlflow
    import pandas as pd
    from mlflow.entities import Metric

    if not history_path.exists():
        return
    run_id = _active_run_id()
    client = mlflow.MlflowClient()
    logged = {point.step for point in client.get_metric_history(run_id, "train/generator")}
    history = pd.read_csv(history_path)
    history = history[~history["step"].isin(logged)]
    points = [
        Metric(f"train/{name}", float(value), 0, int(step))
        for name in history.columns.drop("step")
        for step, value in zip(history["step"], history[name], strict=True)
    ]
    for start in range(0, len(points), 1000):
        client.log_batch(run_id, metrics=points[start : start + 1000])


def _test_values(report: Report) -> dict[str, float]:
    """`l1_hole` -> `test/l1_hole`, with the ends of its interval; metrics without a value are left out."""
    values = {}
    for name, metric in report.overall.items():
        for suffix, value in (("", metric.value), ("_ci_low", metric.ci_low), ("_ci_high", metric.ci_high)):
            if value is not None:
                values[f"test/{name}{suffix}"] = value
    return values


def _log_test_metrics(report: Report) -> None:
    import mlflow

    mlflow.log_metrics(_test_values(report))


def _log_pictures(dataset: str, method: str) -> None:
    import mlflow
    from PIL import Image

    mlflow.log_artifacts(str(layout.report_dir(dataset, method)), "report")
    mlflow.log_image(Image.open(layout.report_dir(dataset, method) / "sheet.png"), key="test_sheet", step=0)
    composites = sorted((layout.outputs_dir(dataset, method) / "composite").glob("*.png"))
    for path in composites[:SAMPLE_COMPOSITES]:
        mlflow.log_image(Image.open(path), key=f"composite_{path.stem}", step=0)


def _log_data(dataset: str) -> None:
    """The manifest of the prepared data as an MLflow data set, its digest the one DVC knows."""
    import mlflow
    import pandas as pd
    from mlflow.data.pandas_dataset import from_pandas

    folder = layout.prepared_dir(dataset)
    manifest = pd.read_csv(folder / "manifest.csv", dtype={"name": str})
    data = from_pandas(manifest, source=str(folder), name=dataset, digest=_dvc_digest(folder))
    mlflow.log_input(data, context="training")


def _dvc_digest(folder: Path) -> str | None:
    """The md5 that `dvc.lock` holds for a folder; None where DVC has not recorded it."""
    lock = Path("dvc.lock")
    if not lock.exists():
        return None
    for stage in read_yaml(lock)["stages"].values():
        for out in stage.get("outs", []):
            if out["path"] == folder.as_posix():
                return str(out["md5"]).removesuffix(".dir")
    return None


def _register(dataset: str, method: str, model_dir: Path, report: Report, tracking: TrackingConfig) -> None:
    """Logs the weights as a model that inpaints, registers it, and lets the lowest test l1_hole be champion."""
    import mlflow
    import numpy as np
    from mlflow.models import ModelSignature
    from mlflow.types import Schema, TensorSpec

    client, name = mlflow.MlflowClient(), f"{tracking.registered_model}-{dataset}"
    run_id = _active_run_id()
    mine = client.search_model_versions(f"name = '{name}' and run_id = '{run_id}'")
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
    for key, value in _test_values(report).items():
        client.set_model_version_tag(name, str(version), key.replace("/", "."), f"{value:.6g}")
    client.set_model_version_tag(name, str(version), "method", method)
    client.set_registered_model_alias(name, f"latest-{method}", str(version))

    versions = client.search_model_versions(f"name = '{name}'")
    scores = {v.version: float(v.tags["test.l1_hole"]) for v in versions if "test.l1_hole" in v.tags}
    if scores:
        client.set_registered_model_alias(name, "champion", min(scores, key=lambda v: (scores[v], int(v))))


def _warn(message: str) -> None:
    print(f"warning: {message}", file=sys.stderr, flush=True)


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
