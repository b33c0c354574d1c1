"""What a run keeps so that its weights can be made again, and what is read back of it."""

from __future__ import annotations

import json
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pennet.config import TrackingConfig
from pennet.errors import UserError
from pipelines import layout
from pipelines.identity import Identity, digest, training_identity, write_identity
from pipelines.params import load_params, read_yaml
from pipelines.provenance import SOURCE_FILE, UNKNOWN, write_origin

FOLDER = "lineage"
"""Of a run's artifacts: what `write_origin` left when it was trained, `identity.json` and `dvc.lock`."""
LINEAGE_TAG = "pennet.lineage"
"""Whether the files of that folder are of the training itself or of its record; or `unknown`: it was trained elsewhere."""
OF_TRAINING, OF_RECORD = "training", "record"
VERSION_TAG = "pennet.version"
"""`models:/NAME/VERSION` of a run's weights."""
OUT_TAG = "dvc.out."
"""With a path behind it: the md5 by which DVC keeps it."""
LOCK = Path("dvc.lock")


@dataclass(frozen=True)
class Lineage:
    """Of a registered version: where it comes from, as its run tells it."""

    uri: str
    version: Any
    run: Any
    folder: Path
    """A copy of the run's `lineage` on this machine."""
    source: dict[str, str]
    """See `pipelines.provenance.write_origin`."""
    identity: Identity


def log_lineage(dataset: str, method: str, seed: int | None, identity: Identity, version: tuple[str, str] | None) -> None:
    """Gives the active run its `lineage`, the md5s of its outs, and the registered version that holds its weights.

    A training left its own when it began. Where there is none (its weights came from a DVC remote, or from before), it is
    this folder's if that would train the very same; else nobody knows, and the run says so.

    Raises:
        UserError: a file of the pipeline is unreadable.
    """
    import mlflow

    with tempfile.TemporaryDirectory() as scratch:
        folder, origin = Path(scratch) / FOLDER, layout.origin_dir(digest(identity))
        if origin.exists():
            shutil.copytree(origin, folder)
        elif seed is None or _would_be_trained_here(dataset, method, seed, identity):
            write_origin(folder)
        else:
            folder.mkdir()
        write_identity(folder / layout.IDENTITY_FILE, identity)
        if LOCK.exists():
            shutil.copyfile(LOCK, folder / LOCK)
        source = _source(folder)
        mlflow.log_artifacts(str(folder), FOLDER)
    known = {"git.commit": source["commit"], "git.dirty": source["dirty"]} if source else {}
    mlflow.set_tags(
        {
            LINEAGE_TAG: (OF_TRAINING if origin.exists() else OF_RECORD) if source else UNKNOWN,
            **known,
            **{f"{OUT_TAG}{path}": md5 for path, md5 in _outs(dataset, method, seed).items()},
            **({} if version is None else {VERSION_TAG: f"models:/{'/'.join(version)}"}),
        }
    )


def read_lineage(uri: str, tracking: TrackingConfig) -> Lineage:
    """Finds a registered version and brings what its run keeps of its making.

    Args:
        uri: `models:/NAME@ALIAS` or `models:/NAME/VERSION`.
        tracking: the store.

    Raises:
        UserError: no such version, or its run keeps no lineage; says what to do.
        one of `store_errors()`: the store cannot be used.
    """
    import mlflow

    from pipelines.tracking.store import check_sqlite

    check_sqlite(tracking.uri, through_server=False)
    mlflow.set_tracking_uri(tracking.uri)
    client, version = mlflow.MlflowClient(), _version(uri)
    run = client.get_run(version.run_id)
    called = f"models:/{version.name}/{version.version}"
    if LINEAGE_TAG not in run.data.tags:
        raise UserError(
            f"{called}: its run {run.info.run_id} keeps no lineage: it was recorded before runs did, or its record was"
            " interrupted; `python -m pipelines.record` completes the record of what is in this folder"
        )
    folder = Path(mlflow.artifacts.download_artifacts(run_id=run.info.run_id, artifact_path=FOLDER))
    identity = json.loads((folder / layout.IDENTITY_FILE).read_text(encoding="utf-8"))
    return Lineage(called, version, run, folder, _source(folder), identity)


def _version(uri: str) -> Any:
    import mlflow
    from mlflow.exceptions import MlflowException

    client, (name, alias, number) = mlflow.MlflowClient(), _parts(uri)
    try:
        return client.get_model_version_by_alias(name, alias) if alias else client.get_model_version(name, number)
    except MlflowException as error:
        if error.error_code not in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            raise
        models = ", ".join(sorted(model.name for model in client.search_registered_models())) or "none"
        raise UserError(f"{uri}: no such version; registered models are {models}") from error


def _parts(uri: str) -> tuple[str, str, str]:
    """Name, alias and number; one of the two is empty."""
    rest = uri.removeprefix("models:/")
    name, _, alias = rest.partition("@")
    if not alias:
        name, _, number = rest.rpartition("/")
    if rest == uri or not name or not (alias or number.isdigit()):
        raise UserError(f"{uri}: is not models:/NAME@ALIAS or models:/NAME/NUMBER")
    return name, alias, "" if alias else number


def _source(folder: Path) -> dict[str, str]:
    path = folder / SOURCE_FILE
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else {}


def _would_be_trained_here(dataset: str, method: str, seed: int, identity: Identity) -> bool:
    try:
        return training_identity(dataset, method, seed, load_params()) == identity
    except (UserError, KeyError):  # another machine's device, a recipe or data that are no more
        return False


def _outs(dataset: str, method: str, seed: int | None) -> dict[str, str]:
    """What DVC keeps of a method: path -> md5."""
    stages = (read_yaml(LOCK) or {}).get("stages", {}) if LOCK.exists() else {}
    trial = [str(layout.report_dir(dataset, method, seed) / "report.json"), str(layout.outputs_dir(dataset, method, seed))]
    trial += [] if seed is None else [str(layout.model_dir(dataset, method, seed))]
    outs = [out for stage in stages.values() for out in stage.get("outs", [])]
    return {out["path"]: str(out["md5"]) for out in outs if out["path"] in trial and "md5" in out}
