"""The search of settings: a seed's draws repeat, nothing is made twice, neither validation nor test is learned from."""

import dataclasses
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from benchmarks import search
from benchmarks.search import Search, ranked, read_pictures
from benchmarks.search_space import COMMON, SPACES, Candidate, OneOf, Times, candidates
from pennet.config import MethodConfig
from pennet.data.pictures.shards import Shards, shard_name
from pennet.errors import UserError
from pennet.methods import learned_methods
from pennet.training.budget import steps_within
from pennet.training.dataset import InpaintingDataset
from pipelines import layout
from pipelines.params import load_params
from tests.configs import small_ca, small_gntipt, small_masks, small_runtime, small_train
from tests.prepared import write_prepared
from tests.project import ROOT

SIDE = 32
TRAINING, HELD_OUT, TEST = 40, 220, 90
"""Grey values of the toy's pictures."""
DATASET = "terrain"
RUNTIME = small_runtime()


@pytest.fixture
def prepared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Pictures to train with, to validate, and a test split that is broken; each other picture is another grey."""
    monkeypatch.chdir(tmp_path)
    noise = np.random.default_rng(0).integers(-10, 11, (10, SIDE, SIDE, 3))
    greys = [TRAINING] * 7 + [HELD_OUT] * 2 + [TEST]
    pictures = {f"p{i}.png": (grey + noise[i]).astype(np.uint8) for i, grey in enumerate(greys)}
    keys = list(pictures)
    parts = {"train": keys[:7], "val": keys[7:9], "test": keys[9:]}
    folder = layout.prepared_dir(DATASET)
    write_prepared(folder, **{split: {key: pictures[key] for key in part} for split, part in parts.items()})
    (shard,) = set(Shards(folder, "test").shard_of.tolist())
    (folder / shard_name(shard)).write_bytes(b"nobody may read this")
    return folder


def toy(prepared: Path, recipe: MethodConfig | None = None, **train: Any) -> Search:
    start = Candidate(recipe or small_gntipt(), small_train(**{"steps": 2, "colour_jitter": 0.0} | train))
    return Search(start, read_pictures(DATASET), small_masks("centre"), RUNTIME, seed=3)


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Mean grey of every picture that a training asks for."""
    greys: list[float] = []
    original = InpaintingDataset.__getitem__

    def spy(self: InpaintingDataset, key: tuple[int, int]) -> tuple[torch.Tensor, torch.Tensor]:
        image, mask = original(self, key)
        greys.append(float((image.mean() + 1) * 127.5))
        return image, mask

    monkeypatch.setattr(InpaintingDataset, "__getitem__", spy)
    return greys


def test_every_learned_method_has_a_space_of_its_own_settings() -> None:
    assert set(SPACES) == set(learned_methods())
    config = load_params(ROOT / "params.yaml")
    for method, space in SPACES.items():
        assert set(space) <= set(Candidate(config.recipes[method], config.train).settings())
        assert set(COMMON) < set(space)


@pytest.mark.parametrize("method", sorted(SPACES))
def test_draws_repeat_differ_and_stay_in_the_space(method: str) -> None:
    config = load_params(ROOT / "params.yaml")
    start = Candidate(config.recipes[method], config.train)
    drawn = candidates(start, 64, 0, 12)
    assert drawn[0] == start
    assert candidates(start, 64, 0, 5) == drawn[:5]  # more trials begin with the same ones
    assert candidates(start, 64, 1, 12)[1:] != drawn[1:]
    assert all(one != other for place, one in enumerate(drawn) for other in drawn[:place])
    before = start.settings()
    for candidate in drawn:
        for key, value in candidate.settings().items():
            if value != before[key]:
                choices = SPACES[method][key]
                if isinstance(choices, Times):
                    assert any(value == pytest.approx(before[key] * factor) for factor in choices.factors)
                else:
                    assert value in choices.values


def test_what_the_configuration_refuses_is_drawn_again(monkeypatch: pytest.MonkeyPatch) -> None:
    config = load_params(ROOT / "params.yaml")
    start = Candidate(config.recipes["pennet"], config.train)
    # 9 scales are none of 3, 4 levels need a multiple of 16 px, and no average keeps all of itself.
    space = {"finest_attention": OneOf((2, 9)), "num_levels": OneOf((3, 4)), "ema_decay": OneOf((0.5, 1.0))}
    monkeypatch.setitem(SPACES, "pennet", space)
    drawn = candidates(start, 72, 0, 4)
    combinations = {(c.settings()["finest_attention"], c.recipe.num_levels, c.train.ema_decay) for c in drawn}
    assert combinations == {(finest, 3, decay) for finest in (1, 2) for decay in (0.99, 0.5)}
    with pytest.raises(UserError, match="--trials: 5, but the space of pennet has only about 4"):
        candidates(start, 72, 0, 5)


def test_pictures_are_those_of_the_training_and_the_validation_split(prepared: Path) -> None:
    pictures = read_pictures(DATASET)
    for found, split in ((pictures.training, "train"), (pictures.validation, "val")):
        np.testing.assert_array_equal(found, [*Shards(prepared, split)])
    assert (len(pictures.training), len(pictures.validation)) == (7, 2)
    with pytest.raises(UserError, match=r"damaged|cut short"):
        Shards(prepared, "test")[0]  # as the tests here take for granted


@pytest.mark.parametrize("recipe", [small_gntipt(), small_ca()], ids=["gntipt", "ca"])
def test_no_trial_learns_from_validation(prepared: Path, recipe: MethodConfig, seen: list[float]) -> None:
    lines = search.search(toy(prepared, recipe), 2, prepared / "found.jsonl")
    assert all("scores" in line for line in lines)
    assert seen and all(abs(grey - TRAINING) < 10 for grey in seen)


def test_scores_are_those_of_the_validation_pictures(prepared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Holes filled with black: the error is the pictures' own brightness."""
    monkeypatch.setattr(search, "inpaint", lambda _, image, mask: np.where(mask[..., None] > 0, np.uint8(0), image))
    (line,) = search.search(toy(prepared), 1, prepared / "found.jsonl")
    hole = read_pictures(DATASET).validation[:, 8:24, 8:24] / 255.0
    assert line["scores"]["l1_hole"] == pytest.approx(hole.mean())
    assert set(line["scores"]) == {"l1_hole", "psnr", "lpips_alex", "ms_ssim_2"}


def test_resumed_search_makes_only_what_is_missing(prepared: Path, seen: list[float]) -> None:
    task, output = toy(prepared), prepared / "found.jsonl"
    first = search.search(task, 1, output)
    of_one_trial, kept = len(seen), output.read_text()
    resumed = search.search(task, 2, output)
    assert len(seen) == 2 * of_one_trial and output.read_text().startswith(kept)
    assert search.search(task, 2, output) == resumed and len(seen) == 2 * of_one_trial
    assert [line["trial"] for line in resumed] == [0, 1] and resumed[:1] == first
    assert [json.loads(line) for line in output.read_text().splitlines()] == resumed

    at_once = search.search(task, 2, prepared / "again.jsonl")
    assert [line["scores"] for line in at_once] == [line["scores"] for line in resumed]
    assert at_once[1]["changes"] == resumed[1]["changes"] != {}


def test_file_of_another_search_is_refused_before_anything_is_trained(prepared: Path, seen: list[float]) -> None:
    output = prepared / "found.jsonl"
    search.search(toy(prepared), 1, output)
    trained, text = len(seen), output.read_text()
    with pytest.raises(UserError, match=r"trial 0 is of another search: train\.batch_size: 3 there, 4 here"):
        search.search(toy(prepared, batch_size=4), 2, output)
    assert len(seen) == trained and output.read_text() == text
    output.write_text(text + "no trial\n")
    with pytest.raises(UserError, match="line 2 is no trial"):
        search.search(toy(prepared), 2, output)


def test_failed_training_is_a_result_too(prepared: Path) -> None:
    (line,) = search.search(toy(prepared, small_gntipt(learning_rate=1e30), steps=4), 1, prepared / "found.jsonl")
    assert "scores" not in line and line["failed"].startswith("step ")
    assert line["failed"] in search.table([line], SIDE)


def test_minutes_become_steps_by_the_pace_of_the_trial(prepared: Path) -> None:
    (line,) = search.search(toy(prepared, steps=0, minutes=0.002), 1, prepared / "found.jsonl")
    assert line["steps"] == steps_within(0.002, line["seconds_per_step"])


def test_best_has_the_lowest_lpips_of_those_near_the_lowest_l1() -> None:
    def line(trial: int, l1_hole: float, lpips: float) -> dict[str, Any]:
        return {"trial": trial, "changes": {}, "scores": {"l1_hole": l1_hole, "lpips_alex": lpips}}

    failed = {"trial": 0, "changes": {}, "failed": "step 3"}
    lines = [failed, line(1, 1.0, 0.30), line(2, 1.049, 0.20), line(3, 1.051, 0.10), line(4, 2.0, 0.05)]
    assert [(near, found["trial"]) for near, found in ranked(lines)] == [
        (True, 2),
        (True, 1),
        (False, 4),
        (False, 3),
        (False, 0),
    ]


@pytest.fixture
def project(prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with small parameters and the toy pictures; the working directory."""
    config = load_params(ROOT / "params.yaml")
    small = dataclasses.replace(
        config,
        prepare=dataclasses.replace(config.prepare, image_size_px=SIDE),
        recipes={**config.recipes, "gntipt": small_gntipt()},
        train=small_train(steps=2),
        runtime=RUNTIME,
    )
    monkeypatch.setattr(search, "load_params", lambda: small)
    monkeypatch.setattr(search, "keep_freed_memory", lambda: None)  # lasts for the process
    monkeypatch.chdir(tmp_path)
    yield tmp_path


def command(monkeypatch: pytest.MonkeyPatch, *words: str) -> None:
    monkeypatch.setattr(sys, "argv", ["search", *words])
    search.main()


def test_command_prints_a_table_of_its_trials(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    command(monkeypatch, "gntipt", "--trials", "2", "--minutes", "0.001")
    printed = capsys.readouterr().out
    assert "`recipes.gntipt` of profile quick: 2 trials of 0.001 minutes on terrain, 7 pictures for training" in printed
    rows = [line for line in printed.splitlines() if line.startswith("| ")]
    assert len(rows) == 4 and {row.split("|")[1].strip(" *") for row in rows[2:]} == {"0", "1"}
    assert len((project / "reports/searches/quick/gntipt.jsonl").read_text().splitlines()) == 2


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--trials", "0"], "--trials: 0 is not positive"),
        (["--seed", "-1"], "--seed: -1 is not from 0"),
        (["--recipe", "ca"], "--recipe: 'ca' is no recipe of gntipt; known are gntipt"),
        (["--profile", "none"], "none"),
    ],
)
def test_impossible_arguments_end_in_one_message(
    project: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], message: str
) -> None:
    monkeypatch.setattr(search, "committed_params", dict)
    (project / "profiles").mkdir()
    with pytest.raises(SystemExit, match=message):
        command(monkeypatch, "gntipt", *words)
