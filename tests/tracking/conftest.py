"""A project with the files of one training, which nobody trained."""

import dataclasses
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from pennet.atomic import write_json
from pennet.cost import Cost, write_cost
from pennet.metrics.report import MetricResult, Report, Settings, write_reports
from pipelines import layout
from pipelines.identity import write_identity
from tests.configs import small_recipe
from tests.prepared import write_prepared, write_test_masks
from tests.project import make_project
from tests.tracking.stores import IDENTITY, TRIAL


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = make_project(tmp_path_factory.mktemp("made"))
    report_dir, model_dir = folder / layout.report_dir(*TRIAL), folder / layout.model_dir(*TRIAL)
    composite_dir, data_dir = (
        folder / layout.filled_dir(*TRIAL, "centre") / "composite",
        folder / layout.prepared_dir("terrain"),
    )
    masks_dir = folder / layout.masks_dir("terrain")
    for path in (report_dir, model_dir, composite_dir):
        path.mkdir(parents=True)
    l1 = MetricResult("l1_hole", 0.25, None, 2, None, None, "lower", None, [], "ok")
    lpips = MetricResult("lpips_alex", None, None, 0, None, None, "lower", "alex", [], "unavailable: no weights")
    settings = Settings(bootstrap_resamples=10, seed=1, is_splits=1, kid_subsets=1, kid_subset_size=2)
    report = Report(2, 2, 48, 48, settings, {}, {"l1_hole": l1, "lpips_alex": lpips}, {}, None, None)
    write_reports(report_dir / "report.json", {"centre": report})
    write_cost(report_dir / "cost.json", Cost(1, 1, 1, "steps", 0.0))
    pd.DataFrame({"step": [1], "generator": [0.5]}).to_csv(report_dir / "history.csv", index=False)
    for i, path in enumerate([report_dir / "sheet.png", composite_dir / "0000.png"]):
        Image.fromarray(np.full((8, 8, 3), i, np.uint8)).save(path)
    (model_dir / "generator.safetensors").write_bytes(b"weights")
    write_json(model_dir / "config.json", dataclasses.asdict(small_recipe(softmax_scale=25.0)))
    write_identity(model_dir / layout.IDENTITY_FILE, IDENTITY)
    grey = np.full((48, 48, 3), 128, np.uint8)
    write_prepared(data_dir, train={"b.png": grey}, test={"a.png": grey})
    write_test_masks(masks_dir, ["a"], centre=[np.eye(48, dtype=np.uint8)])
    return folder


@pytest.fixture
def project(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "my project"
    shutil.copytree(made, folder)
    monkeypatch.chdir(folder)
    return folder
