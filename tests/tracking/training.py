"""The files of a training that nobody trained."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from PIL import Image

from pennet.atomic import write_json
from pennet.cost import Cost, write_cost
from pennet.generator_files import save_generator
from pennet.methods import build_generator
from pennet.metrics.per_image import PerImage, write_per_protocol
from pennet.metrics.report import MetricResult, Report, Settings, write_reports
from pipelines import layout
from pipelines.identity import write_identity
from tests.configs import small_recipe
from tests.tracking.stores import IDENTITY, TRIAL


def write_training(folder: Path, l1_hole: float = 0.25) -> None:
    """Everything that a training and its evaluation leave, but for weights that mean something.

    Args:
        folder: of the project.
        l1_hole: on the test pictures.
    """
    report_dir, model_dir = folder / layout.report_dir(*TRIAL), folder / layout.model_dir(*TRIAL)
    composite_dir = folder / layout.filled_dir(*TRIAL, "centre") / "composite"
    for path in (report_dir, model_dir, composite_dir):
        path.mkdir(parents=True, exist_ok=True)
    l1 = MetricResult("l1_hole", l1_hole, None, 2, None, None, "lower", None, [], "ok")
    lpips = MetricResult("lpips_alex", None, None, 0, None, None, "lower", "alex", [], "unavailable: no weights")
    settings = Settings(bootstrap_resamples=10, seed=1, is_splits=1, kid_subsets=1, kid_subset_size=2)
    report = Report(2, 2, 48, 48, settings, {}, {"l1_hole": l1, "lpips_alex": lpips}, {}, None, None)
    write_reports(report_dir / "report.json", {"centre": report})
    values = np.array([l1_hole - 0.05, l1_hole + 0.05])
    write_per_protocol(report_dir / "per_image.csv", {"centre": PerImage(["a", "b"], np.full(2, 0.25), {"l1_hole": values})})
    write_cost(report_dir / "cost.json", Cost(1, 1, 1, "steps", 0.0))
    pd.DataFrame({"step": [1], "generator": [0.5]}).to_csv(report_dir / "history.csv", index=False)
    for i, path in enumerate([report_dir / "sheet.png", composite_dir / "0000.png"]):
        Image.fromarray(np.full((8, 8, 3), i, np.uint8)).save(path)
    (model_dir / "generator.safetensors").write_bytes(b"weights")
    write_json(model_dir / "config.json", dataclasses.asdict(small_recipe(softmax_scale=25.0)))
    write_identity(model_dir / layout.IDENTITY_FILE, IDENTITY)


def write_painter(folder: Path, grey: float) -> None:
    """A generator that fills every hole with one grey, in [0, 1]: on pictures that are known, its scores are known, too."""
    recipe = small_recipe(attention_levels="none")
    generator = build_generator(recipe)
    for parameter in generator.parameters():
        parameter.data.zero_()
    last = [module for module in generator.modules() if isinstance(module, torch.nn.Conv2d)][-1]
    assert last.bias is not None
    last.bias.data.fill_(math.atanh(2 * grey - 1))
    save_generator(generator, recipe, folder / layout.model_dir(*TRIAL))
