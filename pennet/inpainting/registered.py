"""Where the generator of a registered version lies: the library's one door to MLflow, opened when it is asked for."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from pennet.errors import UserError
from pennet.extras import require
from pennet.inpainting.models import REGISTERED

if TYPE_CHECKING:
    from mlflow import MlflowClient

_URI = re.compile(rf"{REGISTERED}([^/@]+)(?:@([^/@]+)|/([0-9]+))")
STORE_VARIABLE = "MLFLOW_TRACKING_URI"
SQLITE = "sqlite:///"
STORE_FILE = "mlflow.db"
"""The project's own store, in the folder that a checkout is run from."""


@contextmanager
def find_registered(uri: str) -> Iterator[Path]:
    """The folder of a registered version's generator: a copy, brought here and gone in the end.

    The store is the one that `MLFLOW_TRACKING_URI` names, or `mlflow.db` of the folder that this runs in.

    Args:
        uri: `models:/NAME@ALIAS` or `models:/NAME/VERSION`.

    Raises:
        UserError: MLflow is not installed, no store, no such version, or one without a generator.
    """
    named = _URI.fullmatch(uri)
    if not named:
        raise UserError(f"{uri}: expected models:/NAME@ALIAS or models:/NAME/VERSION")
    require("ops", "mlflow")
    store = os.environ.get(STORE_VARIABLE)
    if not store:
        if not Path(STORE_FILE).is_file():  # MLflow would make an empty one
            raise UserError(f"{uri}: no {STORE_FILE} in this folder; run in the project's, or set {STORE_VARIABLE}")
        store = f"sqlite:///{STORE_FILE}"
    elif store.startswith(SQLITE) and not Path(store.removeprefix(SQLITE)).is_file():
        raise UserError(f"{uri}: {STORE_VARIABLE} is {store}, and there is no such file; name the store that holds it")
    # A server that does not answer: MLflow's own patience is four minutes.
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    import mlflow
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    with TemporaryDirectory(prefix="pennet-") as own:
        try:  # without a place of its own, MLflow leaves its copy behind, and a note in a store that lies here
            where = _artifacts(MlflowClient(store, store), *named.groups())
            folder = Path(mlflow.artifacts.download_artifacts(where, dst_path=own, tracking_uri=store))
        except (MlflowException, SQLAlchemyError, OSError) as error:
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise UserError(f"{uri}: cannot be had from {store}: {reason}") from error
        found = sorted(path.parent for path in (folder / "artifacts").glob("*/generator.safetensors"))
        if not found:
            raise UserError(f"{uri}: this version holds no generator of the project; name another")
        yield found[0]


def _artifacts(client: MlflowClient, name: str, alias: str | None, version: str | None) -> str:
    """Where a version's files lie. MLflow would look `models:/` up in the store that was set last, whatever it is told."""
    number = version or client.get_model_version_by_alias(name, str(alias)).version
    source = str(client.get_model_version_download_uri(name, number))
    if source.startswith(REGISTERED):  # a logged model, by its id
        return str(client.get_logged_model(source.removeprefix(REGISTERED)).artifact_location)
    return source
