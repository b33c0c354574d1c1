"""`models:/NAME@alias` names a model of the library, too: the one that the server serves."""

import tempfile
from pathlib import Path

import mlflow
import numpy as np
import pytest

import pennet
from benchmarks.serving import draw_pairs
from pennet.errors import UserError
from pennet.generator_files import load_generator
from pennet.inference import inpaint
from tests.serving.conftest import MODEL, NAME


def test_a_registered_version_fills_as_its_files_do(
    store: str, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = Path(store.removeprefix("sqlite:///")).parent
    ((image, mask),) = draw_pairs(1, (16, 40))
    expected = inpaint(load_generator(folder / "generator"), image, mask)
    other = tmp_path_factory.mktemp("other") / "other.db"
    mlflow.set_registry_uri(f"sqlite:///{other}")  # as a program may that has another store
    monkeypatch.setenv("MLFLOW_TRACKING_URI", store)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    before = {path for path in folder.rglob("*") if path.name != "mlflow.db"}
    assert np.array_equal(pennet.inpaint(image, mask, MODEL), expected)
    assert not list(tmp_path.iterdir())
    assert {path for path in folder.rglob("*") if path.name != "mlflow.db"} == before  # it is read, not written to
    assert np.array_equal(pennet.inpaint(image, mask, f"models:/{NAME}/1"), expected)
    for uri in (f"models:/{NAME}@best", f"models:/{NAME}/7", "models:/other@champion"):
        with pytest.raises(UserError, match=f"{uri}: cannot be had from sqlite:") as caught:
            pennet.inpaint(image, mask, uri)
        assert "\n" not in str(caught.value)
    mlflow.set_registry_uri("")  # that of the runs again
