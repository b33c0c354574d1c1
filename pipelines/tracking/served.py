"""A version of a registered model, found and loaded."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from pennet.errors import UserError
from pennet.images import Picture
from pennet.sharpness import MAX_SHARPNESS, MIN_SHARPNESS, check_sharpness
from pipelines.tracking.store import check_sqlite, first_line, store_errors

_URI = re.compile(r"models:/(?P<name>[^/@]+)(@(?P<alias>[^/@]+)|/(?P<version>[0-9]+))")


class Served:
    """The model of one version, on a device; `about` is what is known of the version."""

    def __init__(self, model: Any, about: dict[str, Any], takes_sharpness: bool) -> None:
        self._model = model
        self.about = about
        self._takes_sharpness = takes_sharpness

    def fill(self, image: Picture, mask: Any, sharpness: Any = None) -> Picture:
        """Fills the hole of one picture (H, W, 3) uint8 with a mask (H, W) uint8, 1 = hole.

        Raises:
            UserError: a sharpness that is none, or for a model that takes none.
        """
        if sharpness is not None and not self._takes_sharpness:  # MLflow would pass over it with a warning
            raise UserError(f"sharpness: got {sharpness!r}, and this version of the model takes none; leave it out")
        # Batches of one, which versions that knew uint8 alone take as well.
        params = {} if sharpness is None else {"sharpness": check_sharpness(sharpness, self.about["sharpness"]["own"])}
        return self._model.predict({"image": image[None], "mask": mask[None]}, params=params)[0]


def load_served(uri: str, store: str, device: Any) -> Served:
    """Finds a version in the store and loads it.

    Args:
        uri: `models:/NAME@ALIAS` or `models:/NAME/VERSION`.
        store: MLflow's tracking URI.
        device: torch's, where it computes.

    Raises:
        UserError: no such store, model, alias or version, or one that cannot be loaded; names what there is.
    """
    import mlflow

    wanted = _URI.fullmatch(uri)
    if wanted is None:
        raise UserError(f"MODEL={uri}: expected models:/NAME@ALIAS or models:/NAME/VERSION")
    try:
        _check_exists(store)
        mlflow.set_tracking_uri(store)
        version = _find(mlflow.MlflowClient(), wanted, store)
        model = mlflow.pyfunc.load_model(f"models:/{version.name}/{version.version}")
    except store_errors() as error:
        raise UserError(f"MODEL={uri}: cannot be loaded from {store}: {first_line(error)}") from error
    generator = model.unwrap_python_model().generator.to(device)
    params = model.metadata.get_params_schema()
    takes_sharpness = params is not None and bool(getattr(generator, "has_attention", False))
    own = {"least": MIN_SHARPNESS, "most": MAX_SHARPNESS, "own": float(generator.softmax_scale)} if takes_sharpness else None
    about = {
        "name": version.name,
        "version": str(version.version),
        "aliases": sorted(version.aliases),
        "run_id": version.run_id,
        "device": str(device),
        "sharpness": own,
        "tags": dict(version.tags),
        "card": version.description or "",
    }
    return Served(model, about, takes_sharpness)


def _check_exists(store: str) -> None:
    """MLflow makes a new store where there is none."""
    from sqlalchemy.engine import make_url

    if not store.startswith("sqlite"):
        return
    path = Path(make_url(store).database or "")
    if not path.exists():
        raise UserError(f"{path} does not exist, so no model is registered yet; run `make demo`, or name its store")
    check_sqlite(store)


def _find(client: Any, wanted: re.Match[str], store: str) -> Any:
    """MLflow's description of the version."""
    from mlflow.exceptions import MlflowException

    name, alias, number = wanted["name"], wanted["alias"], wanted["version"]
    try:
        registered = client.get_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        names = ", ".join(sorted(model.name for model in client.search_registered_models())) or "none"
        raise UserError(
            f"no model {name} is registered in {store}; there are: {names}; `make demo` registers some"
        ) from error
    if alias:
        if alias not in registered.aliases:
            others = ", ".join(sorted(registered.aliases)) or "none"
            remedy = "choose one with `python -m pipelines.promote`, or name another: MODEL=models:/NAME@ALIAS"
            raise UserError(f"{name} has no alias {alias} in {store}; it has: {others}; {remedy}")
        number = registered.aliases[alias]
    try:
        return client.get_model_version(name, number)
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        raise UserError(f"{name} has no version {number} in {store}; name one that is there, or @champion") from error
