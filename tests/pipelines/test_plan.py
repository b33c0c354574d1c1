"""The plan of a profile counts what `dvc.yaml` expands to."""

import subprocess
import sys
from pathlib import Path

import pytest

from pennet.config import Config, config_from_mapping
from pipelines.params import load_params
from pipelines.plan import plan, table
from pipelines.profile import committed_params, resolved
from tests.project import environment

ROOT = Path(__file__).parents[2]


def test_plan_counts_the_stages_that_dvc_has(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    listed = subprocess.run(
        [sys.executable, "-m", "dvc", "stage", "list", "--name-only"],
        cwd=ROOT, env=environment(ROOT), capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    config = load_params()
    assert sum(plan(config, dataset).stages for dataset in config.datasets) == len(listed.stdout.split())


def test_table_of_the_paper_is_the_one_in_the_docs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    config = config_from_mapping(Config, resolved("paper", committed_params()), "paper")
    made = table(config, 0.5)
    assert made in (ROOT / "docs/paper.md").read_text()
    places2 = plan(config, "places2")
    assert (places2.steps, places2.test_pictures) == (1_000_000, 10_000)
    assert places2.results_bytes == 10_000 * 2 * 8 * 2 * 256 * 256 * 2  # protocols, methods, two pictures each
    assert places2.epochs(16) == pytest.approx(16e6 / 1_803_460)
