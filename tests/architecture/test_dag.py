"""`dvc.yaml` says what the code says: a stage depends on the files that can change its result, and on no others."""

import importlib
from typing import Any

import pytest

from pipelines.params import read_yaml, stage_sections
from tests.architecture.closure import ROOT, import_closure

STAGES: dict[str, Any] = {name: stage.get("do", stage) for name, stage in read_yaml(ROOT / "dvc.yaml")["stages"].items()}
UNTRACKED_SECTIONS = {"runtime", "tracking"}


def module_of(stage: dict[str, Any]) -> str:
    return str(stage["cmd"].split()[2])


@pytest.mark.parametrize("name", STAGES)
def test_stage_depends_on_the_files_it_imports_and_no_others(name: str) -> None:
    declared = {dependency for dependency in STAGES[name]["deps"] if dependency.endswith(".py")}
    imported = import_closure(module_of(STAGES[name]).replace(".", "/") + ".py")
    should_be = "the deps should be:\n" + "\n".join(f"      - {path}" for path in sorted(imported))
    assert declared == imported, should_be


@pytest.mark.parametrize("name", STAGES)
def test_stage_params_are_the_sections_its_run_takes(name: str) -> None:
    run = importlib.import_module(module_of(STAGES[name])).run
    taken = set(stage_sections(run)) - UNTRACKED_SECTIONS
    declared = {
        {"recipes.${item.method}": "recipe", "sources.${item}": "sources"}.get(section, section)
        for section in STAGES[name].get("params", [])
    }
    assert declared == taken


def test_a_change_of_a_metric_retrains_nothing() -> None:
    metrics = {path for path in import_closure("pipelines/evaluate.py") if path.startswith("pennet/metrics/")}
    assert metrics
    assert not metrics & (import_closure("pipelines/train.py") | import_closure("pipelines/inpaint.py"))
