"""One run a training and benchmark, complete from its files."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Mapping

from pennet.config import TrackingConfig
from pennet.errors import UserError
from pipelines import layout
from pipelines.identity import Identity, benchmark_content, classical_identity, digest, read_identity
from pipelines.params import load_params
from pipelines.tracking.contents import log_cost, log_curves, log_data, log_pictures
from pipelines.tracking.descriptions import NOTE_TAG, describe_experiment, run_note
from pipelines.tracking.lineage import LINEAGE_TAG, log_lineage
from pipelines.tracking.move import Displaced
from pipelines.tracking.registry import register, test_statuses, test_values
from pipelines.tracking.runs import experiment_of, find_run, open_run
from pipelines.tracking.stale import close_dead_runs
from pipelines.tracking.store import first_line, store_errors

RECORDED_TAG = "pennet.recorded"
"""Digest of the files that a run was completed from."""
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

    from pennet.cost import read_cost
    from pennet.metrics.report import read_reports

    report_dir = layout.report_dir(dataset, method, seed)
    model_dir = None if seed is None else layout.model_dir(dataset, method, seed)
    try:
        reports = read_reports(report_dir / "report.json")
    except FileNotFoundError as error:
        raise UserError(f"{error.filename} is missing; run `dvc repro` first") from error
    identity = _identity(dataset, method, seed)
    benchmark = benchmark_content(dataset, load_params())
    files = [report_dir / "report.json", report_dir / "sheet.png"]
    files += [] if model_dir is None else [model_dir / "generator.safetensors"]
    content = hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()
    try:
        known = find_run(dataset, identity, benchmark, tracking)
        if known is not None and known.info.status == "FINISHED" and _is_complete(known.data.tags, content):
            return False
        run = open_run(dataset, method, seed, identity, benchmark, tracking)
        for message in EXPECTED_WARNINGS:
            warnings.filterwarnings("ignore", message, UserWarning)
        try:
            cost = None
            if model_dir is not None:
                cost = read_cost(report_dir / "cost.json")
                log_curves(run.info.run_id, report_dir / "history.csv")
                log_cost(cost, layout.checkpoints_dir(digest(identity)) / "timing.json")
            mlflow.log_metrics(test_values(reports))
            mlflow.set_tags(test_statuses(reports))
            log_pictures(run.info.run_id, report_dir, layout.filled_dir(dataset, method, seed, next(iter(reports))))
            log_data(dataset)
            version = register(dataset, method, seed, model_dir, reports, benchmark, cost, tracking) if model_dir else None
            log_lineage(dataset, method, seed, identity, version)
            note = run_note(run.info.run_id, run.info.experiment_id, dataset, method, seed, reports, cost, version)
            mlflow.set_tag(NOTE_TAG, note)
            describe_experiment(run.info.experiment_id, dataset, tracking)
            mlflow.set_tag(RECORDED_TAG, content)
        finally:
            mlflow.end_run()
    except store_errors() as error:
        raise _unusable(tracking, error) from error
    return True


def _is_complete(tags: Mapping[str, str], content: str) -> bool:
    return tags.get(RECORDED_TAG) == content and LINEAGE_TAG in tags  # of before there was one: completed now


def close_dead(dataset: str, tracking: TrackingConfig) -> list[str]:
    """See `close_dead_runs`.

    Raises:
        UserError: the store cannot be used.
    """
    try:
        return close_dead_runs(experiment_of(dataset, tracking))
    except store_errors() as error:
        raise _unusable(tracking, error) from error


def _unusable(tracking: TrackingConfig, error: BaseException) -> UserError:
    said = first_line(error)
    if isinstance(error, Displaced):
        return UserError(f"cannot record in {tracking.uri}: {said}")
    again = " and run it again" if said.endswith("free some disk space") else "; mend tracking.uri and run it again"
    return UserError(f"cannot record in {tracking.uri}: {said}{again}")


def _identity(dataset: str, method: str, seed: int | None) -> Identity:
    """Of a training what it was when it was trained, whatever the parameters and the code are by now."""
    if seed is None:
        return classical_identity(dataset, method)
    path = layout.model_dir(dataset, method, seed) / layout.IDENTITY_FILE
    identity = read_identity(path)
    if identity is None:
        raise UserError(f"{path} is missing; run `dvc repro` first")
    return identity
