"""A wall time becomes a number of steps once; what a training cost is kept and read back."""

import math
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from pennet import cost
from pennet.comparison.tables import budget, timing_table
from pennet.cost import (
    Cost,
    Timing,
    count_parameters,
    peak_memory_mib,
    read_cost,
    read_timing,
    write_cost,
    write_timing,
)
from pennet.training.budget import TIMED_STEPS, WARM_UP_STEPS, read_plan, seconds_per_step, steps_within, write_plan

COST = Cost(10, 20, 3, "minutes", 5.0)
TIMING = Timing(4.0, 12.0, 100.0, "cpu", 1, "2.6")


class Clocked:
    """A recipe whose steps take a known time on a clock of its own, but for slow ones at the start and now and then."""

    def __init__(self) -> None:
        self.steps, self.now = 0, 0.0

    def perf_counter(self) -> float:
        return self.now

    def update(self, batch: torch.Tensor) -> dict[str, float]:
        self.steps += 1
        self.now += 0.1 if self.steps <= WARM_UP_STEPS or self.steps % 6 == 0 else 0.02
        return {"generator": 0.0}


def test_pace_is_that_of_an_ordinary_step(monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = Clocked()
    monkeypatch.setattr("pennet.training.budget.time", recipe)
    pace = seconds_per_step(recipe, iter([torch.zeros(1)] * (WARM_UP_STEPS + TIMED_STEPS)), torch.device("cpu"))
    assert recipe.steps == WARM_UP_STEPS + TIMED_STEPS
    assert pace == pytest.approx(0.02)


@pytest.mark.parametrize(("minutes", "pace", "steps"), [(1, 0.5, 120), (0.1, 0.7, 8), (0.001, 1.0, 1)])
def test_steps_are_the_whole_ones_that_fit_and_never_none(minutes: float, pace: float, steps: int) -> None:
    assert steps_within(minutes, pace) == steps


def test_plan_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    assert read_plan(path) is None
    write_plan(path, 120, 0.5)
    assert read_plan(path) == 120
    path.write_text("{}")
    with pytest.raises(ValueError, match=r"plan\.json holds no plan"):
        read_plan(path)


def test_cost_is_kept_and_a_broken_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "cost.json"
    with pytest.raises(ValueError, match=r"cost\.json is missing; run the train stage"):
        read_cost(path)
    write_cost(path, COST)
    assert read_cost(path) == COST
    path.write_text('{"steps": 3}')
    with pytest.raises(ValueError, match=r"cost\.json holds no training cost"):
        read_cost(path)


def test_timing_is_kept_and_a_broken_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "timing.json"
    with pytest.raises(ValueError, match=r"timing\.json is missing; run the train stage"):
        read_timing(path)
    for timing in (TIMING, replace(TIMING, peak_memory_mib=None)):
        write_timing(path, timing)
        assert read_timing(path) == timing
    path.write_text("[]")
    with pytest.raises(ValueError, match=r"timing\.json holds no training timing"):
        read_timing(path)


def test_timing_table_has_means_over_seeds_and_says_what_is_unknown() -> None:
    table = timing_table(
        {"pennet": [TIMING, replace(TIMING, seconds=6.0)], "ca": [replace(TIMING, peak_memory_mib=None)], "gntipt": []}
    )
    assert "| pennet | 5 | 12.0 | 100 | cpu, 1 thread, torch 2.6 |" in table
    assert "| ca | 4 | 12.0 | unknown | cpu, 1 thread, torch 2.6 |" in table
    assert "| gntipt | – | – | – | – |" in table


def test_peak_memory_is_unknown_where_the_system_does_not_say(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(cost, "_STATUS", tmp_path / "status")  # as on Windows: there is none,
    monkeypatch.setitem(sys.modules, "resource", None)  # and importing this fails
    assert math.isnan(peak_memory_mib(torch.device("cpu")))


def test_parameters_are_counted_over_all_networks() -> None:
    assert count_parameters(nn.Linear(3, 2), nn.Conv2d(1, 4, 3)) == (3 * 2 + 2) + (4 * 9 + 4)


def test_peak_memory_of_a_cpu_process_has_seen_a_large_tensor() -> None:
    before = peak_memory_mib(torch.device("cpu"))
    torch.ones(int(before + 64) * 2**18).sum()  # a quarter of a MiB a thousand numbers: larger than all before
    assert peak_memory_mib(torch.device("cpu")) > before + 32


def test_comparison_tells_the_minutes_of_the_budget_and_whether_they_were_the_same() -> None:
    same_minutes = {"pennet": [COST, COST], "ca": [replace(COST, steps=7)]}
    assert "same wall time for every learned method, 5 minutes," in budget(same_minutes)
    by_steps = replace(COST, budget="steps", minutes=0.0)
    assert "same number of generator steps for every learned method, 3." in budget({"pennet": [by_steps], "ca": [by_steps]})
    for other in (replace(COST, minutes=2.5), by_steps):
        assert "not the same for all learned methods" in budget({"pennet": [COST], "ca": [other]})
