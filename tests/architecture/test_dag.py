"""`dvc.yaml` says what the code says: a stage depends on the files that can change its result, and on no others."""

import importlib
from functools import cache
from typing import Any

import pytest

from pennet.config import OverridesConfig
from pennet.data.sets import DATA_SETS
from pennet.masks import KINDS
from pennet.methods import classical_methods, learned_methods
from pipelines.identity import classical_parts, training_parts
from pipelines.meaning import CARRIERS, ROOT, file_of, reachable
from pipelines.params import read_yaml, stage_sections

STAGES: dict[str, Any] = {name: stage.get("do", stage) for name, stage in read_yaml(ROOT / "dvc.yaml")["stages"].items()}
UNTRACKED_SECTIONS = {"tracking"}
RUNTIME_KEYS_IN_AN_IDENTITY = {"num_threads", "deterministic", "tf32", "cudnn_benchmark"}
"""The kind of device is in it as well, but is no parameter of DVC: `auto` is another one on another machine."""
BEFORE = {
    "compare": ("evaluate",),
    "evaluate": ("masks",),
    "evaluate-classical": ("masks",),
}
"""Stages that a stage follows always: what they run, and so run anew, may share a folder with what it runs."""


def module_of(stage: str) -> str:
    return str(STAGES[stage]["cmd"].split()[2])


@cache
def runs(stage: str) -> frozenset[str]:
    """The files that a stage runs, with those that the lists of methods and masks name."""
    roots = [file_of(module_of(stage))]
    masks = [file_of(kind.draw) for kind in KINDS]
    if stage == "train":
        roots += [*masks, *(file_of(part) for m in learned_methods().values() for part in (m.generator, m.recipe))]
    if stage == "inpaint":
        roots += [file_of(method.generator) for method in learned_methods().values()]
    if stage == "inpaint-classical":
        roots += [file_of(method.fill) for method in classical_methods().values()]
    if stage == "masks":
        roots += masks
    if stage == "prepare":
        roots += [file_of(data_set) for data_set in DATA_SETS.values()]
    return frozenset(reachable(roots))


def needs(stage: str) -> frozenset[str]:
    """What it runs; of what uses a trained model only what the training does not: the model carries its code's identity."""
    return runs(stage) - runs("train") if stage == "inpaint" else runs(stage)


def declared(stage: str) -> list[str]:
    return [path for path in STAGES[stage]["deps"] if path.startswith(("pennet", "pipelines"))]


def files_in(dependency: str) -> set[str]:
    """A file, or the files of a folder that mean something."""
    path = ROOT / dependency
    if path.is_file():
        return {dependency}
    files = {file.relative_to(ROOT).as_posix() for file in path.rglob("*.py")}
    return {file for file in files if not file.startswith(CARRIERS) and (ROOT / file).read_text().strip()}


@pytest.mark.parametrize("stage", STAGES)
def test_stage_depends_on_the_files_it_runs_and_no_others(stage: str) -> None:
    covered = [file for dependency in declared(stage) for file in files_in(dependency)]
    missing, doubles = needs(stage) - set(covered), len(covered) - len(set(covered))
    assert not missing, f"{stage} runs {sorted(missing)}, which is not among its deps"
    assert not doubles, f"{stage} declares files twice, by themselves and in a folder"
    allowed = needs(stage).union(*(runs(before) for before in BEFORE.get(stage, ())))
    foreign = set(covered) - allowed
    assert not foreign, f"{stage} depends on {sorted(foreign)}, which cannot change its result"
    idle = [dependency for dependency in declared(stage) if not files_in(dependency) & needs(stage)]
    assert not idle, f"{stage} runs nothing of {idle}"


@pytest.mark.parametrize("stage", STAGES)
def test_folders_stand_before_files(stage: str) -> None:
    """A folder whose files a stage needs all of is named as one."""
    files = [path for path in declared(stage) if path.endswith(".py")]
    for folder in {path.rpartition("/")[0] for path in files}:
        whole = {file for file in files_in(folder) if "/" not in file.removeprefix(f"{folder}/")}
        assert not (len(whole) > 1 and whole <= set(files)), f"{stage}: name {folder}, not its {len(whole)} files"


@pytest.mark.parametrize("stage", STAGES)
def test_stage_params_are_the_sections_its_run_takes(stage: str) -> None:
    taken = set(stage_sections(importlib.import_module(module_of(stage)).run)) - UNTRACKED_SECTIONS
    names = {"recipes.${item.method}": "recipe", "sources.${item}": "source"}
    params = STAGES[stage].get("params", [])
    sections = [names.get(section, section) for section in params if not section.startswith("overrides.")]
    overridden = {section.rpartition(".")[2] for section in params if section.startswith("overrides.")}
    may_be = {name.replace("recipe", "recipes") for name in sections} & set(OverridesConfig.__dataclass_fields__)
    assert overridden == may_be
    runtime = {section.removeprefix("runtime.") for section in sections if section.startswith("runtime.")}
    assert runtime == (RUNTIME_KEYS_IN_AN_IDENTITY if stage == "train" else set())
    assert {section for section in sections if not section.startswith("runtime.")} == taken - {"runtime"}


@pytest.mark.parametrize("method", learned_methods())
def test_what_inpaints_is_in_the_trainings_identity_or_among_its_own_dependencies(method: str) -> None:
    inpaints = reachable(["pipelines/inpaint.py", file_of(learned_methods()[method].generator)])
    for kind in KINDS:
        trains = reachable(["pipelines/train.py", *training_parts(method, kind.name)])
        own = {file for dependency in declared("inpaint") for file in files_in(dependency)}
        assert inpaints <= trains | own


def test_a_training_knows_its_own_method_and_mask_only() -> None:
    identity = reachable(["pipelines/train.py", *training_parts("pennet", "rotated_square")])
    assert {"pennet/models/attention.py", "pennet/recipes/pennet.py", "pennet/masks/rotated_square.py"} <= identity
    assert not identity & {"pennet/models/two_stage.py", "pennet/recipes/ca.py", "pennet/masks/irregular.py"}
    assert classical_parts("telea") == ["pennet/classical/telea.py"]


@pytest.mark.parametrize("stage", ["train", "inpaint"])
def test_what_only_draws_times_or_records_runs_no_stage_again(stage: str) -> None:
    covered = {file for dependency in declared(stage) for file in files_in(dependency)}
    assert not covered & {"pennet/pictures.py", "pennet/cost.py", "pipelines/observer.py", "pipelines/tracking/record.py"}
    assert not any(file.startswith("pennet/metrics/") for file in covered)
