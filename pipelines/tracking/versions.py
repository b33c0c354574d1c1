"""The versions of a data set's registered model: found by their weights, named by aliases, brought from the registry."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

from pennet.config import TrackingConfig
from pennet.errors import UserError
from pipelines.decision import Contestant
from pipelines.tracking.store import check_sqlite, first_line, store_errors

WEIGHTS_TAG = "pennet.weights"
"""SHA-256 of a version's weights: the same weights are one version, however often they are scored."""
REJECTED_TAG = "pennet.rejected"
"""Why a version is no candidate any more, until a person promotes it."""
FORMER_TAG = "pennet.former_champions"
"""Of the registered model: JSON list of versions, the last champion last."""
DECIDED_TAG = "pennet.decided"
"""Of the registered model: digest of all that the next decision depends on; while it stays there is nothing to decide."""
os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")  # a bar a file, for a few small ones

CHAMPION, CHALLENGER, PREVIOUS = "champion", "challenger", "previous"


def model_name(dataset: str, tracking: TrackingConfig) -> str:
    return f"{tracking.registered_model}-{dataset}"


def weights_digest(path: Path) -> str:
    """SHA-256 of a file of weights."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


class Versions:
    """A registered model as the registry has it now.

    Args:
        dataset: whose model.
        tracking: where the registry is.

    Raises:
        UserError: nothing is registered under this name.
    """

    def __init__(self, dataset: str, tracking: TrackingConfig):
        import mlflow
        from mlflow.exceptions import MlflowException

        check_sqlite(tracking.uri)
        mlflow.set_tracking_uri(tracking.uri)
        self.name = model_name(dataset, tracking)
        self.client = mlflow.MlflowClient()
        try:
            model = self.client.get_registered_model(self.name)
        except MlflowException as error:
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise
            raise UserError(
                f"{self.name} has no version in {tracking.uri}; run `dvc repro` and `python -m pipelines.record` first"
            ) from error
        self.aliases: dict[str, str] = {alias: str(version) for alias, version in model.aliases.items()}
        self.tags: dict[str, str] = model.tags

    @cached_property
    def all(self) -> dict[str, Any]:
        """MLflow's versions by number, the oldest first."""
        found = self.client.search_model_versions(f"name = '{self.name}'")
        return {str(version.version): version for version in sorted(found, key=lambda version: int(version.version))}

    @property
    def champion(self) -> str | None:
        """Its version, if there is one and it was not deleted."""
        version = self.aliases.get(CHAMPION)
        return version if version in self.all else None

    @property
    def former(self) -> list[str]:
        """Versions that were champion before, the last one last; deleted ones are left out."""
        known: list[str] = json.loads(self.tags.get(FORMER_TAG, "[]"))
        return [version for version in known if version in self.all and version != self.champion]

    def with_weights(self, digest: str) -> str | None:
        """The version that holds these weights."""
        return next((number for number, version in self.all.items() if version.tags.get(WEIGHTS_TAG) == digest), None)

    def contestant(self, version: str) -> Contestant:
        """What a decision says of a version.

        Raises:
            UserError: there is none of that number; lists those there are.
        """
        if version not in self.all:
            known = ", ".join(self.all) or "none"
            raise UserError(f"{self.name} has no version {version!r}; known are {known}")
        tags = self.all[version].tags
        return Contestant(version, *(tags.get(key, "unknown") for key in (WEIGHTS_TAG, "method", "seed")))

    @contextmanager
    def generator(self, version: str) -> Iterator[Path]:
        """The folder of a version's generator, brought from the registry; it is gone after the block.

        Raises:
            UserError: it cannot be brought, or holds other weights than were registered.
        """
        import mlflow
        from mlflow.models import get_model_info

        from pennet.generator_files import WEIGHTS_FILE

        uri = f"models:/{self.name}/{version}"
        with tempfile.TemporaryDirectory() as folder:
            why = ""
            try:
                inside = get_model_info(uri).flavors["python_function"]["artifacts"]["model_dir"]["path"]
                brought = Path(mlflow.artifacts.download_artifacts(f"{uri}/{inside}", dst_path=folder))
                digest = weights_digest(brought / WEIGHTS_FILE)
                if digest != self.all[version].tags.get(WEIGHTS_TAG, digest):
                    why = "its weights are not those that were recorded"
            except KeyError as error:
                why = f"it holds no generator ({error} is missing)"
            except store_errors() as error:
                why = first_line(error)
            if why:
                raise UserError(f"{self.name} version {version} cannot be loaded: {why}")
            yield brought
