"""`dvc.yaml` says what the code says: a stage depends on the files that can change its result, and on no others."""

import importlib
from typing import Any

import pytest

from pennet.config import LEARNED_METHODS
from pipelines.params import read_yaml, stage_sections
from tests.architecture.closure import ROOT, import_closure

STAGES: dict[str, Any] = {name: stage.get("do", stage) for name, stage in read_yaml(ROOT / "dvc.yaml")["stages"].items()}
UNTRACKED_SECTIONS = {"runtime", "tracking"}


def module_of(stage: dict[str, Any]) -> str:
    return str(stage["cmd"].split()[2])


def declared_files(name: str, method: str = "") -> set[str]:
    deps = [dependency.replace("${item.method}", method) for dependency in STAGES[name]["deps"]]
    return {dependency for dependency in deps if dependency.endswith(".py")}


PER_METHOD = [name for name in STAGES if declared_files(name) != declared_files(name, "pennet")]
SHARED = [name for name in STAGES if name not in PER_METHOD]


@pytest.mark.parametrize("name", SHARED)
def test_stage_depends_on_the_files_it_imports_and_no_others(name: str) -> None:
    imported = import_closure(module_of(STAGES[name]).replace(".", "/") + ".py")
    should_be = "the deps should be:\n" + "\n".join(f"      - {path}" for path in sorted(imported))
    assert declared_files(name) == imported, should_be


@pytest.mark.parametrize("method", LEARNED_METHODS)
@pytest.mark.parametrize("name", PER_METHOD)
def test_stage_of_a_method_depends_on_what_it_imports_and_on_no_other_recipe(name: str, method: str) -> None:
    """Models may be shared by methods, so each declares all of them; recipes are one file a method."""
    module = module_of(STAGES[name]).replace(".", "/") + ".py"
    others = frozenset(f"pennet/recipes/{other}.py" for other in LEARNED_METHODS if other != method)
    declared = declared_files(name, method)
    assert import_closure(module, without=others) <= declared
    assert declared <= import_closure(module) - others


@pytest.mark.parametrize("name", STAGES)
def test_stage_params_are_the_sections_its_run_takes(name: str) -> None:
    run = importlib.import_module(module_of(STAGES[name])).run
    taken = set(stage_sections(run)) - UNTRACKED_SECTIONS
    declared = {
        {"${item.method}": "recipe", "sources.${item}": "sources"}.get(section, section)
        for section in STAGES[name].get("params", [])
    }
    assert declared == taken


def test_a_change_of_a_metric_retrains_nothing() -> None:
    metrics = {path for path in import_closure("pipelines/evaluate.py") if path.startswith("pennet/metrics/")}
    assert metrics
    assert not metrics & (import_closure("pipelines/train.py") | import_closure("pipelines/inpaint.py"))
