"""A project with the files of one training, which nobody trained."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from pipelines import layout
from tests.prepared import write_prepared, write_test_masks
from tests.project import make_project
from tests.tracking.training import write_training


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = make_project(tmp_path_factory.mktemp("made"))
    write_training(folder)
    grey = np.full((48, 48, 3), 128, np.uint8)
    write_prepared(folder / layout.prepared_dir("terrain"), train={"b.png": grey}, test={"a.png": grey})
    write_test_masks(folder / layout.masks_dir("terrain"), ["a"], centre=[np.eye(48, dtype=np.uint8)])
    return folder


@pytest.fixture
def project(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "my project"
    shutil.copytree(made, folder)
    monkeypatch.chdir(folder)
    return folder
