from pathlib import Path

import pytest

from pipelines.fingerprint import Fingerprint, benchmark_fingerprint, run_fingerprint
from tests.project import change_params, make_project


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_project(tmp_path_factory.mktemp("fingerprint"))


@pytest.fixture
def fingerprint(project: Path, monkeypatch: pytest.MonkeyPatch) -> Fingerprint:
    monkeypatch.chdir(project)
    return run_fingerprint("terrain", "pennet", 2019)


def test_fingerprint_repeats_and_tells_methods_apart(fingerprint: Fingerprint) -> None:
    assert run_fingerprint("terrain", "pennet", 2019) == fingerprint
    telea = run_fingerprint("terrain", "telea", None)
    assert telea.run != fingerprint.run
    assert telea.training == ""
    assert run_fingerprint("terrain", "pennet", 2020).training != fingerprint.training


def test_runs_of_one_benchmark_share_its_fingerprint(fingerprint: Fingerprint, project: Path) -> None:
    before = (project / "params.yaml").read_text()
    benchmark = benchmark_fingerprint("terrain")
    try:
        change_params(project, {"recipes": {"pennet": {"softmax_scale": 9.0}}})
        assert benchmark_fingerprint("terrain") == benchmark
        change_params(project, {"masks": {"seed": 8}})
        assert benchmark_fingerprint("terrain") != benchmark
    finally:
        (project / "params.yaml").write_text(before)


def test_fingerprint_holds_every_parameter_of_its_stages(fingerprint: Fingerprint) -> None:
    assert fingerprint.parameters["train.steps"] == "4"
    assert fingerprint.parameters["recipe.num_levels"] == "3"
    assert fingerprint.parameters["evaluate.seed"] == "7"
    assert not any(key.startswith(("runtime.", "tracking.")) for key in fingerprint.parameters)
    assert "evaluate.seed" not in fingerprint.identity


@pytest.mark.parametrize(
    ("changes", "training_changes", "run_changes"),
    [
        ({"train": {"flip": False}}, True, True),
        ({"recipes": {"pennet": {"softmax_scale": 9.0}}}, True, True),
        ({"evaluate": {"seed": 8}}, False, True),
        ({"inpaint": {"batch_size": 5}}, False, True),
        ({"runtime": {"num_threads": 2}}, False, False),
        ({"tracking": {"experiment": "other"}}, False, False),
    ],
)
def test_fingerprint_changes_with_what_decides_the_result(
    fingerprint: Fingerprint, project: Path, changes, training_changes: bool, run_changes: bool
) -> None:
    before = (project / "params.yaml").read_text()
    try:
        change_params(project, changes)
        changed = run_fingerprint("terrain", "pennet", 2019)
    finally:
        (project / "params.yaml").write_text(before)
    assert (changed.training != fingerprint.training) == training_changes
    assert (changed.run != fingerprint.run) == run_changes


@pytest.mark.parametrize(
    ("file", "training_changes", "run_changes"),
    [
        ("pennet/models/attention.py", True, True),
        ("pennet/metrics/pixel.py", False, True),
        ("pipelines/flows.py", False, False),
    ],
)
def test_fingerprint_changes_with_the_code_that_decides_the_result(
    fingerprint: Fingerprint, project: Path, file: str, training_changes: bool, run_changes: bool
) -> None:
    before = (project / file).read_text()
    try:
        (project / file).write_text(before + "\n# another word\n")
        changed = run_fingerprint("terrain", "pennet", 2019)
    finally:
        (project / file).write_text(before)
    assert (changed.training != fingerprint.training) == training_changes
    assert (changed.run != fingerprint.run) == run_changes
