"""The MLflow run of a training while it trains: its curves and samples as they come, its end as it came."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pennet.alone import alone
from pennet.config import TrackingConfig
from pennet.errors import UserError
from pipelines import layout
from pipelines.identity import Identity, digest
from pipelines.provenance import write_origin
from pipelines.tracking.descriptions import describe_experiment
from pipelines.tracking.runs import experiment_of, open_run
from pipelines.tracking.stale import ERROR_TAG, close_dead_runs
from pipelines.tracking.store import first_line, store_errors, warn

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

PAUSE_PER_LOST_SECOND = 10
"""Seconds without a new attempt for each second that a failed one took: an outage costs a tenth of the time at most."""


class LiveRun:
    """Sends curves and samples to the active MLflow run.

    What the store does not take is dropped (`python -m pipelines.record` completes the curves). Each outage is reported
    once, and costs a bounded share of the training's time.
    """

    def __init__(self, last_step: int | None):  # None: there is no run to log to
        self.last_step = last_step
        self.is_out = False
        self.next_attempt = 0.0

    def metrics(self, step: int, values: dict[str, float]) -> None:
        """Logs one point of each curve, unless an earlier part of this run already did."""
        import mlflow

        self._attempt(step, lambda: mlflow.log_metrics(values, step=step))

    def picture(self, step: int, picture: NDArray[np.uint8]) -> None:
        """Logs (H, W, 3) uint8 as a sample of this step."""
        import mlflow

        self._attempt(step, lambda: mlflow.log_image(picture, key="samples", step=step, synchronous=True))

    def _attempt(self, step: int, log: Callable[[], Any]) -> None:
        started = time.monotonic()
        if self.last_step is None or step <= self.last_step or started < self.next_attempt:
            return
        try:
            log()
        except store_errors() as error:
            ended = time.monotonic()
            self.next_attempt = ended + PAUSE_PER_LOST_SECOND * (ended - started)
            if not self.is_out:
                warn(
                    f"MLflow does not take the live curves now ({first_line(error)}); training goes on and tries again;"
                    " `python -m pipelines.record` completes them"
                )
            self.is_out = True
        else:
            if self.is_out:
                warn(f"MLflow takes the live curves again, from step {step} on")
            self.is_out = False


@contextlib.contextmanager
def live_run(dataset: str, method: str, seed: int, identity: Identity, tracking: TrackingConfig) -> Iterator[LiveRun]:
    """Opens the run of a training, a new one or the one an interrupted training began; one process at a time has it.

    An exception in the body leaves the run FAILED, Ctrl-C or SIGTERM leaves it KILLED, with the reason in a tag. A store
    that cannot be written is reported once and costs nothing but the record; `python -m pipelines.record` completes it.

    Raises:
        UserError: another process trains the very same; names it.
    """
    folder = layout.checkpoints_dir(digest(identity))
    folder.mkdir(parents=True, exist_ok=True)
    with (
        alone(folder / "lock", lambda holder: _refused(folder, holder)),
        _opened(dataset, method, seed, identity, tracking) as live,
    ):
        yield live


def _refused(folder: Path, holder: str) -> UserError:
    """Such a process may have outlived the `dvc` that started it."""
    return UserError(f"{folder}: process {holder} is at this training; wait until it has ended, or end it (kill {holder})")


@contextlib.contextmanager
def _opened(dataset: str, method: str, seed: int, identity: Identity, tracking: TrackingConfig) -> Iterator[LiveRun]:
    import mlflow

    write_origin(layout.origin_dir(digest(identity)))
    try:
        for line in close_dead_runs(experiment_of(dataset, tracking)):
            print(line, flush=True)
        run = open_run(dataset, method, seed, identity, None, tracking, log_system_metrics=True)
        if ERROR_TAG in run.data.tags:  # of an earlier part
            mlflow.delete_tag(ERROR_TAG)
        describe_experiment(run.info.experiment_id, dataset, tracking)
        last_step = max(
            (point.step for point in mlflow.MlflowClient().get_metric_history(run.info.run_id, "train/generator")),
            default=0,
        )
    except store_errors() as error:
        warn(
            f"cannot write to the MLflow store {tracking.uri} ({first_line(error)}); training goes on and saves its"
            " weights; mend tracking.uri and run `python -m pipelines.record` to complete the record"
        )
        yield LiveRun(None)
        return
    status = "FINISHED"
    try:
        yield LiveRun(last_step)
    except BaseException as error:
        stopped = isinstance(error, KeyboardInterrupt | SystemExit)
        status = "KILLED" if stopped else "FAILED"
        with contextlib.suppress(*store_errors()):
            mlflow.set_tag(ERROR_TAG, f"stopped: {error!r}" if stopped else first_line(error)[:500])
        raise
    finally:
        with contextlib.suppress(*store_errors()):
            mlflow.end_run(status)
