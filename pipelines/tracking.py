"""The record in MLflow: one run per fingerprint, live while it trains, complete from its files afterwards.

Only this module and `registry.py`, its part for the models, talk to MLflow. Nothing here changes a
result: when the record cannot be kept, training goes on and says so.
"""

from __future__ import annotations

import contextlib
import dataclasses
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
from pipelines.fingerprint import Fingerprint, benchmark_fingerprint, run_fingerprint
from pipelines.params import read_yaml
from pipelines.registry import BENCHMARK_TAG, register, test_values

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
def live_run(dataset: str, method: str, seed: int, tracking: TrackingConfig) -> Iterator[LiveRun]:
    """Opens the run of (data set, method, seed) as configured now, a new one or the one an interrupted training began.

    An exception in the body leaves the run FAILED with the reason in a tag. A store that cannot be written is reported once
    and costs nothing but the record: `python -m pipelines.record` completes it later.
    """
    import mlflow
    from mlflow.exceptions import MlflowException

    fingerprint = run_fingerprint(dataset, method, seed)
    try:
        run = _open_run(dataset, method, seed, fingerprint, tracking, log_system_metrics=True)
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


def record(dataset: str, method: str, seed: int | None, tracking: TrackingConfig) -> bool:
    """Completes the run of (data set, method, seed) from its files: parameters, curves, cost, metrics, pictures, model.

    Idempotent: returns False, having changed nothing, if the run already holds just this.

    Raises:
        ValueError: the files are not there yet, or the store cannot be used.
    """
    import mlflow
    from mlflow.exceptions import MlflowException

    from pennet.metrics.report import read_report
    from pennet.training.cost import read_cost

    report_dir = layout.report_dir(dataset, method, seed)
    model_dir = None if seed is None else layout.model_dir(dataset, method, seed)
    try:
        report = read_report(report_dir / "metrics.json")
    except FileNotFoundError as error:
        raise ValueError(f"{error.filename} is missing; run `dvc repro` first") from error
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
            _log_pictures(report_dir, layout.outputs_dir(dataset, method, seed))
            _log_data(dataset)
            if model_dir is not None:
                register(dataset, method, seed, model_dir, report, tracking)
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
    seed: int | None,
    fingerprint: Fingerprint,
    tracking: TrackingConfig,
    log_system_metrics: bool = False,
) -> Any:
    """Makes the run of this fingerprint the active one, with its parameters and tags."""
    import mlflow

    known = _find_run(dataset, fingerprint, tracking)
    if known is not None:
        return mlflow.start_run(run_id=known.info.run_id, log_system_metrics=log_system_metrics)
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


def _log_cost(cost: Cost) -> None:
    """`cost/seconds` and the others, beside the test metrics they bought."""
    import mlflow

    values = dataclasses.asdict(cost)
    mlflow.log_metrics({f"cost/{name}": float(value) for name, value in values.items() if not isinstance(value, str)})


def _log_pictures(report_dir: Path, outputs_dir: Path) -> None:
    import mlflow
    from PIL import Image

    mlflow.log_artifacts(str(report_dir), "report")
    mlflow.log_image(Image.open(report_dir / "sheet.png"), key="test_sheet", step=0)
    composites = sorted((outputs_dir / "composite").glob("*.png"))
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


def _warn(message: str) -> None:
    print(f"warning: {message}", file=sys.stderr, flush=True)


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
