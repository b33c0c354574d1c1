"""Two processes (gloo) learn what one learns, with every method and from each other's checkpoints; all from one start."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from pennet.errors import UserError
from pennet.recipes.updates import reported
from pennet.training import processes
from tests.project import ROOT
from tests.training.two_processes import RECIPES, STEPS, record, train

RESUMED = ("nsgan", "ca")
"""Spectral norms; a gradient penalty and two updates of the discriminators a step."""
TOLERANCE = 1e-10
"""In double precision; 5e-15 was measured for losses, 2e-14 for weights. A mistake shows in the first digits."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Trainings of two processes and of one, and of both by turns: see `two_processes`."""
    folder = tmp_path_factory.mktemp("processes")
    for method in RESUMED:
        train(method, folder / "one-then-two" / method, until=STEPS // 2)
    jobs = [f"two:{method}:{STEPS}" for method in RECIPES]
    jobs += [f"two-then-one:{method}:{STEPS // 2}" for method in RESUMED]
    jobs += [f"one-then-two:{method}:{STEPS}" for method in RESUMED]
    started = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.training.two_processes", str(folder), str(rank), *jobs],
            cwd=ROOT,
            env=os.environ | {"GLOO_SOCKET_IFNAME": "lo"} if sys.platform == "linux" else None,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for rank in (0, 1)
    ]
    try:
        for process in started:
            output, _ = process.communicate(timeout=240)
            assert process.returncode == 0, output[-3000:]
    finally:
        for process in started:
            process.kill()
    for name, methods in {"one": tuple(RECIPES), "two-then-one": RESUMED}.items():
        for method in methods:
            result, learner = train(method, folder / name / method)
            record(learner, result, folder / f"{name}-{method}-0.pt")
    return folder


def read(folder: Path, name: str, method: str, rank: int = 0) -> dict[str, Any]:
    return torch.load(folder / f"{name}-{method}-{rank}.pt", weights_only=True)


def assert_same_training(found: dict[str, Any], expected: dict[str, Any]) -> None:
    for row, wanted in zip(found["history"], expected["history"], strict=True):
        assert row == pytest.approx(wanted, rel=TOLERANCE, abs=TOLERANCE)
    assert found["weights"].keys() == expected["weights"].keys()
    for name, value in found["weights"].items():
        torch.testing.assert_close(value, expected["weights"][name], rtol=TOLERANCE, atol=TOLERANCE, msg=name)
    assert torch.equal(found["random"], expected["random"])


@pytest.mark.parametrize("method", RECIPES)
def test_two_processes_learn_what_one_learns(folder: Path, method: str) -> None:
    assert_same_training(read(folder, "two", method), read(folder, "one", method))


@pytest.mark.parametrize("method", RECIPES)
def test_both_processes_hold_the_same_bits(folder: Path, method: str) -> None:
    first, second = (read(folder, "two", method, rank) for rank in (0, 1))
    assert first["history"] == second["history"]
    assert [name for name, value in first["weights"].items() if not torch.equal(value, second["weights"][name])] == []
    assert torch.equal(first["random"], second["random"])


@pytest.mark.parametrize("method", RESUMED)
@pytest.mark.parametrize(("name", "counts"), [("two-then-one", [2, 1]), ("one-then-two", [1, 2])])
def test_checkpoints_fit_any_number_of_processes(folder: Path, name: str, counts: list[int], method: str) -> None:
    resumed = read(folder, name, method)
    assert_same_training(resumed, read(folder, "one", method))
    assert resumed["processes"] == counts


def test_only_the_first_process_writes_checkpoints(folder: Path) -> None:
    """Both have the same folder here: had both written, one would have found the other's temporary file gone."""
    assert sorted(path.name for path in (folder / "two" / "ca").iterdir()) == ["step-00000002.pt", "step-00000004.pt"]


def test_a_loss_that_is_not_a_number_in_one_process_stops_all(folder: Path) -> None:
    assert [(folder / f"spoilt-{rank}").read_text() for rank in (0, 1)] == ["the generator loss is nan"] * 2


def test_a_process_alone_computes_as_if_there_were_no_others() -> None:
    value, layer = torch.rand(3, requires_grad=True), nn.Linear(2, 1)
    assert (processes.number(), processes.rank(), processes.is_first()) == (1, 0, True)
    assert processes.average(value) is value
    assert processes.average_gradients(layer.parameters(), value) is value
    assert all(parameter.grad is None for parameter in layer.parameters())
    assert processes.own([(0, 1), (0, 2)]) == [(0, 1), (0, 2)]
    assert processes.agree(torch.tensor(float("nan")))
    assert reported({"a": torch.tensor(0.1)}) == {"a": torch.tensor(0.1).item()}


@pytest.fixture
def _one_of_two_on_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    values = {"TORCHELASTIC_RUN_ID": "x", "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", "LOCAL_RANK": "1"}
    for name, value in values.items():
        monkeypatch.setenv(name, value)


@pytest.mark.usefixtures("_one_of_two_on_this_machine")
def test_each_process_has_the_gpu_of_its_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert processes.own_device("cuda") == "cuda:1"
    assert processes.own_device("cpu") == "cpu"
    with pytest.raises(UserError, match=r"runtime\.device: 'cuda:0' is one GPU for 2 processes; use cuda or auto"):
        processes.own_device("cuda:0")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(UserError, match="2 processes on this machine need a GPU each, and it has 1; set it to 1 or less"):
        processes.own_device("cuda")


@pytest.mark.usefixtures("_one_of_two_on_this_machine")
def test_a_batch_without_equal_parts_is_refused() -> None:
    with (
        pytest.raises(UserError, match=r"train\.batch_size: 5 has no equal parts for 2 processes"),
        processes.joined(torch.device("cpu"), 5),
    ):
        pytest.fail("joined")


def test_a_process_that_was_started_alone_joins_nobody() -> None:
    assert processes.own_device("cuda:3") == "cuda:3"
    with processes.joined(torch.device("cpu"), 5):
        assert processes.number() == 1
