"""The record in MLflow: one run per fingerprint, live while it trains, complete from its files afterwards.

Only this module and `registry.py`, its part for the models, talk to MLflow. Nothing here changes a
result: when the record cannot be kept, training goes on and says so.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import os
import sqlite3
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pennet.config import TrackingConfig
from pennet.errors import UserError
from pipelines import layout
from pipelines.fingerprint import Fingerprint, benchmark_fingerprint, run_fingerprint
from pipelines.params import read_yaml
from pipelines.provenance import provenance
from pipelines.registry import BENCHMARK_TAG, experiment, register, test_statuses, test_values

# MLflow's own patience with a server that does not answer is four minutes; a training waits half a minute at most.
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from pennet.training.cost import Cost

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


def store_errors() -> tuple[type[Exception], ...]:
    """What a store that cannot be used raises: MLflow lets the errors of SQLAlchemy and a missing driver through."""
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    return MlflowException, SQLAlchemyError, ImportError, OSError


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
        if not self.alive:
            return
        try:
            log()
        except store_errors() as error:
            self.alive = False
            _warn(f"MLflow stopped taking the live curves ({_first_line(error)}); training goes on and saves its weights")


@contextlib.contextmanager
def live_run(dataset: str, method: str, seed: int, tracking: TrackingConfig) -> Iterator[LiveRun]:
    """Opens the run of (data set, method, seed) as configured now, a new one or the one an interrupted training began.

    An exception in the body leaves the run FAILED, Ctrl-C or SIGTERM leaves it KILLED, with the reason in a tag. A store
    that cannot be written is reported once and costs nothing but the record; `python -m pipelines.record` completes it.
    """
    import mlflow

    fingerprint = run_fingerprint(dataset, method, seed)
    try:
        run = _open_run(dataset, method, seed, fingerprint, tracking, log_system_metrics=True)
        last_step = max(
            (point.step for point in mlflow.MlflowClient().get_metric_history(run.info.run_id, "train/generator")),
            default=0,
        )
    except store_errors() as error:
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
        stopped = isinstance(error, KeyboardInterrupt | SystemExit)
        status = "KILLED" if stopped else "FAILED"
        with contextlib.suppress(*store_errors()):
            mlflow.set_tag("pennet.error", f"stopped: {error!r}" if stopped else _first_line(error)[:500])
        raise
    finally:
        with contextlib.suppress(*store_errors()):
            mlflow.end_run(status)


def record(dataset: str, method: str, seed: int | None, tracking: TrackingConfig) -> bool:
    """Completes the run of (data set, method, seed) from its files: parameters, curves, cost, metrics, pictures, model.

    Idempotent: returns False, having changed nothing, if the run already holds just this.

    Raises:
        UserError: the files are not there yet, or the store cannot be used.
    """
    import mlflow

    from pennet.metrics.report import read_report
    from pennet.training.cost import read_cost

    report_dir = layout.report_dir(dataset, method, seed)
    model_dir = None if seed is None else layout.model_dir(dataset, method, seed)
    try:
        report = read_report(report_dir / "metrics.json")
    except FileNotFoundError as error:
        raise UserError(f"{error.filename} is missing; run `dvc repro` first") from error
    fingerprint = run_fingerprint(dataset, method, seed)
    files = [report_dir / "metrics.json", *([] if model_dir is None else [model_dir / "generator.safetensors"])]
    content = hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()
    try:
        known = _find_run(dataset, fingerprint, tracking)
        if known is not None and known.data.tags.get(RECORDED_TAG) == content and known.info.status == "FINISHED":
            return False
        _open_run(dataset, method, seed, fingerprint, tracking)
        for message in EXPECTED_WARNINGS:
            warnings.filterwarnings("ignore", message, UserWarning)
        try:
            if model_dir is not None:
                _log_curves(report_dir / "history.csv")
                _log_cost(read_cost(report_dir / "cost.json"))
            mlflow.log_metrics(test_values(report))
            mlflow.set_tags(test_statuses(report))
            _log_pictures(report_dir, layout.outputs_dir(dataset, method, seed))
            _log_data(dataset)
            if model_dir is not None:
                register(dataset, method, seed, model_dir, report, tracking)
            mlflow.set_tag(RECORDED_TAG, content)
        finally:
            mlflow.end_run()
    except store_errors() as error:
        raise UserError(
            f"cannot record in {tracking.uri}: {_first_line(error)}; mend tracking.uri and run it again"
        ) from error
    return True


# --- one run per fingerprint -----------------------------------------------------------------------------------------


def _find_run(dataset: str, fingerprint: Fingerprint, tracking: TrackingConfig) -> Any:
    """The run with this fingerprint, or None."""
    import mlflow

    _check_sqlite(tracking.uri)
    mlflow.set_tracking_uri(tracking.uri)
    known = experiment(f"{tracking.experiment}-{dataset}", tracking.uri)
    found = mlflow.MlflowClient().search_runs(
        [known.experiment_id], f"tags.`{FINGERPRINT_TAG}` = '{fingerprint.run}'", max_results=1
    )
    return found[0] if found else None


def _check_sqlite(uri: str) -> None:
    """Fails at once where MLflow would try an unusable SQLite file again for two minutes.

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
    except sqlite3.Error as error:
        raise OSError(f"{path}: {error}") from error


def _open_run(
    dataset: str,
    method: str,
    seed: int | None,
    fingerprint: Fingerprint,
    tracking: TrackingConfig,
    log_system_metrics: bool = False,
) -> Any:
    """Makes the run of this fingerprint the active one, with its parameters and tags."""
    import mlflow

    known = _find_run(dataset, fingerprint, tracking)
    if known is not None:
        run = mlflow.start_run(run_id=known.info.run_id, log_system_metrics=log_system_metrics)
    else:
        stage = f"inpaint-classical@{dataset}-{method}" if seed is None else f"train@{dataset}-{method}-{seed}"
        run = mlflow.start_run(
            run_name="-".join([method, *([] if seed is None else [str(seed)]), fingerprint.run[:6]]),
            tags={
                FINGERPRINT_TAG: fingerprint.run,
                BENCHMARK_TAG: benchmark_fingerprint(dataset),
                "dataset": dataset,
                "method": method,
                "dvc.stage": stage,
                **({} if seed is None else {"seed": str(seed)}),
                **provenance(),
            },
            log_system_metrics=log_system_metrics,
        )
    mlflow.log_params(fingerprint.parameters)  # of a known run too: it may have been killed before it had them
    return run


def _active_run_id() -> str:
    import mlflow

    run = mlflow.active_run()
    assert run is not None  # every caller is between `_open_run` and `end_run`
    return str(run.info.run_id)


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


def _log_cost(cost: Cost) -> None:
    """`cost/seconds` and the others, beside the test metrics they bought."""
    import mlflow

    values = dataclasses.asdict(cost)
    mlflow.log_metrics({f"cost/{name}": float(value) for name, value in values.items() if not isinstance(value, str)})


def _log_pictures(report_dir: Path, outputs_dir: Path) -> None:
    """The report's files, its sheet and some composites; a picture that the run already holds is not logged again.

    MLflow cannot replace a picture: one that has changed becomes the next step of its key.
    """
    import mlflow

    mlflow.log_artifacts(str(report_dir), "report")
    logged = [item.path for item in mlflow.MlflowClient().list_artifacts(_active_run_id(), "images")]
    composites = sorted((outputs_dir / "composite").glob("*.png"))[:SAMPLE_COMPOSITES]
    pictures = {"test_sheet": report_dir / "sheet.png"} | {f"composite_{path.stem}": path for path in composites}
    for key, path in pictures.items():
        _log_picture(key, path, [name for name in logged if name.endswith(".png") and f"/{key}+step+" in name])


def _log_picture(key: str, path: Path, logged: list[str]) -> None:
    """Logs a picture unless the last one with its key, of the artifacts `logged`, has the same pixels."""
    import mlflow
    import numpy as np
    from PIL import Image

    picture, step = Image.open(path).convert("RGB"), 0
    if logged:
        steps = {int(name.split("+step+")[1].split("+")[0]): name for name in logged}
        last = mlflow.artifacts.download_artifacts(run_id=_active_run_id(), artifact_path=steps[max(steps)])
        if np.array_equal(np.asarray(Image.open(last).convert("RGB")), np.asarray(picture)):
            return
        step = max(steps) + 1
    mlflow.log_image(picture, key=key, step=step)


def _log_data(dataset: str) -> None:
    """The manifest of the prepared data as an MLflow data set, its digest the one DVC knows."""
    import mlflow
    from mlflow.data.pandas_dataset import from_pandas

    from pipelines.outputs import read_prepared_manifest

    folder = layout.prepared_dir(dataset)
    data = from_pandas(read_prepared_manifest(dataset), source=str(folder), name=dataset, digest=_dvc_digest(folder))
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


def _warn(message: str) -> None:
    print(f"warning: {message}", file=sys.stderr, flush=True)


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
