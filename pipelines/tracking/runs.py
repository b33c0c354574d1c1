"""Which MLflow run belongs to what: one a training and benchmark, found again by its tags."""

from __future__ import annotations

from typing import Any

from pennet.config import TrackingConfig
from pipelines.identity import Identity, digest
from pipelines.provenance import provenance
from pipelines.tracking.stale import PROCESS_TAG, this_process
from pipelines.tracking.store import check_sqlite, experiment

IDENTITY_TAG = "pennet.identity"
"""Digest of what decides the weights, or of what a classical method is."""
BENCHMARK_TAG = "pennet.benchmark"
"""Digest of what makes scores comparable: filter by it, then compare. A run that is not scored yet has none."""


def experiment_of(dataset: str, tracking: TrackingConfig) -> str:
    """The number of a data set's experiment, in the store that MLflow uses from now on; made if there is none.

    Raises:
        one of `store_errors()`: the store cannot be used.
    """
    import mlflow

    check_sqlite(tracking.uri, through_server=False)
    mlflow.set_tracking_uri(tracking.uri)
    return str(experiment(f"{tracking.experiment}-{dataset}", tracking.uri).experiment_id)


def find_run(dataset: str, identity: Identity, benchmark: Identity | None, tracking: TrackingConfig) -> Any:
    """The run of this identity that was scored on this benchmark, else one that is not scored yet, else None.

    Without a benchmark (a training that begins) it is the last run of the identity.
    """
    import mlflow

    experiment_id = experiment_of(dataset, tracking)
    found = mlflow.MlflowClient().search_runs(
        [experiment_id], f"tags.`{IDENTITY_TAG}` = '{digest(identity)}'", order_by=["attributes.start_time DESC"]
    )
    if benchmark is None:
        return found[0] if found else None
    for tag in (digest(benchmark), None):
        for run in found:
            if run.data.tags.get(BENCHMARK_TAG) == tag:
                return run
    return None


def open_run(
    dataset: str,
    method: str,
    seed: int | None,
    identity: Identity,
    benchmark: Identity | None,
    tracking: TrackingConfig,
    log_system_metrics: bool = False,
) -> Any:
    """Makes the run of this identity and benchmark the active one, with its parameters and tags."""
    import mlflow

    known = find_run(dataset, identity, benchmark, tracking)
    owner = {PROCESS_TAG: this_process()}
    if known is not None:
        run = mlflow.start_run(run_id=known.info.run_id, tags=owner, log_system_metrics=log_system_metrics)
    else:
        stage = f"inpaint-classical@{dataset}-{method}" if seed is None else f"train@{dataset}-{method}-{seed}"
        run = mlflow.start_run(
            experiment_id=experiment_of(dataset, tracking),
            run_name="-".join([method, *([] if seed is None else [str(seed)]), digest(identity)[:6]]),
            tags={
                IDENTITY_TAG: digest(identity),
                "dataset": dataset,
                "method": method,
                "dvc.stage": stage,
                **({} if seed is None else {"seed": str(seed)}),
                **provenance(),
                **owner,
            },
            log_system_metrics=log_system_metrics,
        )
    if benchmark is not None:
        mlflow.set_tag(BENCHMARK_TAG, digest(benchmark))
    # Of a known run too: it may have been killed before it had them, or be scored only now.
    parameters = {**identity, **(benchmark or {})}
    mlflow.log_params({key: value for key, value in parameters.items() if not key.startswith("code.")})
    return run
