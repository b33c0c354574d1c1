"""The record in MLflow: one run per fingerprint, complete from its files.

This module and those that it shares the work with (`live.py`, `run_contents.py`, `registry.py`, `descriptions.py`) alone
talk to MLflow. Nothing here changes a result: when the record cannot be kept, training goes on and says so.
"""

from __future__ import annotations

import hashlib
import warnings
from typing import Any

from pennet.config import TrackingConfig
from pennet.errors import UserError
from pipelines import layout
from pipelines.descriptions import NOTE_TAG, describe_experiment, run_note
from pipelines.fingerprint import Fingerprint, benchmark_fingerprint, run_fingerprint
from pipelines.provenance import provenance
from pipelines.registry import BENCHMARK_TAG, register, test_statuses, test_values
from pipelines.run_contents import log_cost, log_curves, log_data, log_pictures
from pipelines.store import check_sqlite, first_line, store_errors

FINGERPRINT_TAG = "pennet.fingerprint"
RECORDED_TAG = "pennet.recorded"
EXPECTED_WARNINGS = (
    "The specified dataset source can",
    "Hint: Inferred schema contains integer",
    ".*An input example was not",
    ".*Add type hints",
)
"""What MLflow says about every data set read from a folder and every model logged with a signature of its own."""


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
        report = read_report(report_dir / "report.json")
    except FileNotFoundError as error:
        raise UserError(f"{error.filename} is missing; run `dvc repro` first") from error
    fingerprint = run_fingerprint(dataset, method, seed)
    files = [report_dir / "report.json", *([] if model_dir is None else [model_dir / "generator.safetensors"])]
    content = hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()
    try:
        known = _find_run(dataset, fingerprint, tracking)
        if known is not None and known.data.tags.get(RECORDED_TAG) == content and known.info.status == "FINISHED":
            return False
        run = _open_run(dataset, method, seed, fingerprint, tracking)
        for message in EXPECTED_WARNINGS:
            warnings.filterwarnings("ignore", message, UserWarning)
        try:
            cost = None
            if model_dir is not None:
                cost = read_cost(report_dir / "cost.json")
                log_curves(run.info.run_id, report_dir / "history.csv")
                log_cost(cost)
            mlflow.log_metrics(test_values(report))
            mlflow.set_tags(test_statuses(report))
            log_pictures(run.info.run_id, report_dir, layout.outputs_dir(dataset, method, seed))
            log_data(dataset)
            version = register(dataset, method, seed, model_dir, report, cost, tracking) if model_dir else None
            note = run_note(run.info.run_id, run.info.experiment_id, dataset, method, seed, report, cost, version)
            mlflow.set_tag(NOTE_TAG, note)
            describe_experiment(run.info.experiment_id, dataset, tracking)
            mlflow.set_tag(RECORDED_TAG, content)
        finally:
            mlflow.end_run()
    except store_errors() as error:
        raise UserError(
            f"cannot record in {tracking.uri}: {first_line(error)}; mend tracking.uri and run it again"
        ) from error
    return True


# --- one run per fingerprint -----------------------------------------------------------------------------------------


def _find_run(dataset: str, fingerprint: Fingerprint, tracking: TrackingConfig) -> Any:
    """The run with this fingerprint, or None."""
    import mlflow

    check_sqlite(tracking.uri)
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
