"""The same search of settings for every learned method: so many trainings of the same wall time, each with other settings.

    python -m benchmarks.search pennet --profile cpu --trials 8 --minutes 2
    python -m benchmarks.search ca --profile cpu --trials 8 --minutes 2
    python -m benchmarks.search gntipt --profile cpu --trials 8 --minutes 2

Trial 0 is the recipe as it stands. In every other one each setting of `benchmarks.search_space` is left alone or drawn anew,
with even odds; what the configuration refuses, or an earlier trial had, is drawn again. The draws depend on the recipe, the
seed and the trial's number alone, so that more trials begin with the same ones; what all methods have in common is drawn
first, so that trial 3 of one has the same of it as trial 3 of another, unless one of them was drawn again. All trials share
the seed of weights, data and masks.

A trial learns from the training split and is scored on the validation split, with the kind of mask that the test has; the
test split is not read. The minutes are turned into steps by the pace of the trial's own first steps, as for
`train.minutes`.

The best trial has the lowest LPIPS of those whose L1 in the hole is at most 5 % above the lowest of all trials. The table
begins with it; the others that are as near follow by their LPIPS, then those farther away by theirs, then what failed.

Every trial is a line of JSON in the output file, written when it is done: run again, the command makes only what is missing.
"""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import json
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from benchmarks.search_space import SPACES, Candidate, candidates
from pennet.atomic import write_text
from pennet.config import (
    Config,
    MasksConfig,
    RuntimeConfig,
    config_from_mapping,
)
from pennet.config.section import MAX_SEED
from pennet.errors import UserError
from pennet.inference import inpaint
from pennet.masks import numbered_mask
from pennet.metrics.image_scores import Measure, score_images
from pennet.metrics.lpips import LPIPS
from pennet.metrics.metric import Metric
from pennet.metrics.pairs import Pairs
from pennet.metrics.pixel import L1_HOLE, PSNR, Images
from pennet.metrics.structure import MS_SSIM, ms_ssim_variant
from pennet.seeding import apply_runtime
from pennet.training import budget, loop
from pennet.training.allocator import keep_freed_memory
from pennet.training.checkpoint import differences
from pipelines.params import load_params
from pipelines.prepared import prepared_pictures
from pipelines.profile import committed_params, resolved
from pipelines.train import Trial

NEAR = 1.05
"""The best trial's L1 in the hole is at most this many times the lowest."""
BATCH = 8
"""Pictures scored together; changes no value."""


@dataclass(frozen=True)
class Pictures:
    training: Images
    """(N, S, S, 3) uint8."""
    validation: Images
    """(M, S, S, 3) uint8, of other groups."""

    @property
    def side_px(self) -> int:
        return int(self.training.shape[1])


@dataclass(frozen=True)
class Search:
    """What all trials of a search share; `candidate` is the first of them."""

    candidate: Candidate
    pictures: Pictures
    masks: MasksConfig
    """Of the validation pictures."""
    runtime: RuntimeConfig
    seed: int

    def configuration(self, candidate: Candidate) -> dict[str, str]:
        """All that decides a trial's result but for the code and the pace of the machine, flat and readable."""
        digest = hashlib.sha256(self.pictures.training.tobytes() + self.pictures.validation.tobytes()).hexdigest()
        sections = {
            "recipe": asdict(candidate.recipe),
            "train": {key: getattr(candidate.train, key) for key in TRAINED_WITH},
            "masks": asdict(self.masks),
        }
        flat = {f"{section}.{key}": str(value) for section, values in sections.items() for key, value in values.items()}
        return flat | {"seed": str(self.seed), "num_threads": str(self.runtime.num_threads), "pictures": digest}


TRAINED_WITH = ("steps", "minutes", "batch_size", "ema_decay", "mixed_precision", "flip", "quarter_turns", "colour_jitter")
"""The parameters of `train` that change weights."""


def read_pictures(dataset: str) -> Pictures:
    """The training and the validation split of a prepared data set; of the test split no picture is read.

    Raises:
        UserError: not prepared.
    """
    return Pictures(*(np.stack([*prepared_pictures(dataset, split)]) for split in ("train", "val")))


def metrics(side_px: int) -> list[Metric]:
    """What a trial is scored with, for pictures of this side."""
    return [L1_HOLE, PSNR, LPIPS.of("alex"), MS_SSIM.of(ms_ssim_variant(side_px))]


def search(task: Search, trials: int, output: Path) -> list[dict[str, Any]]:
    """Makes the trials that the output file lacks, a line each.

    Returns:
        The lines of all trials, in order: `trial`, `changes`, `configuration`, and either `steps`, `seconds_per_step`,
        `seconds` and `scores`, or `failed`.

    Raises:
        UserError: the file holds trials of another search, or no trials; a network or its weights are not there.
    """
    planned = candidates(task.candidate, task.pictures.side_px, task.seed, trials)
    known = read_lines(output)
    by_trial = {line["trial"]: line for line in known}
    for number, candidate in enumerate(planned):
        there, here = by_trial.get(number, {}).get("configuration"), task.configuration(candidate)
        if there is not None and (differs := differences(there, here)):
            raise UserError(f"{output}: trial {number} is of another search: {'; '.join(differs)}; give another --output")

    device = apply_runtime(task.runtime)
    measures = [Measure(m, m.load(m.variant, device) if m.load else None) for m in metrics(task.pictures.side_px)]
    for number, candidate in enumerate(planned):
        if number in by_trial:
            continue
        before, after = task.candidate.settings(), candidate.settings()
        changes = {key: value for key, value in after.items() if value != before[key]}
        print(f"trial {number} of {trials}: {json.dumps(changes)}", file=sys.stderr)
        configuration = task.configuration(candidate)
        line = {"trial": number, "changes": changes, **_outcome(task, candidate, device, measures)}
        by_trial[number] = line | {"configuration": configuration}
        known.append(by_trial[number])
        write_text(output, "".join(json.dumps(line, allow_nan=False) + "\n" for line in known))
    return [by_trial[number] for number in range(trials)]


def read_lines(path: Path) -> list[dict[str, Any]]:
    """The trials that a file holds; none where there is no file.

    Raises:
        UserError: a line is no trial.
    """
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    trials = []
    for number, line in enumerate(lines, start=1):
        try:
            trial = json.loads(line)
            trial["trial"], trial["changes"], trial["configuration"]
        except (json.JSONDecodeError, KeyError, TypeError) as error:
            raise UserError(f"{path}: line {number} is no trial of a search ({error!r}); give another --output") from error
        trials.append(trial)
    return trials


class _Nobody:
    """An observer that looks away."""

    def metrics(self, step: int, values: dict[str, float]) -> None: ...

    def samples(self, step: int, generator: nn.Module) -> None: ...


def _outcome(task: Search, candidate: Candidate, device: torch.device, measures: Sequence[Measure]) -> dict[str, Any]:
    """Trains and scores; a training that leaves the finite numbers has failed, which is a result as well."""
    with tempfile.TemporaryDirectory() as folder:
        trial = Trial(task.pictures.training, task.seed, candidate.train, candidate.recipe, task.runtime, device)
        try:
            pace = _pace(trial) if candidate.train.minutes else None
            steps = candidate.train.steps if pace is None else budget.steps_within(candidate.train.minutes, pace)
            learner = trial.learner(steps)
            train = dataclasses.replace(candidate.train, steps=steps, sample_every_steps=0, checkpoint_every_steps=steps)
            batches = trial.batches(learner, 0, steps)
            result = loop.train(learner, lambda _: batches, train, {}, Path(folder) / "checkpoints", device, _Nobody())
        except (FloatingPointError, loop.TrainingStopped) as error:
            return {"failed": str(error).partition(";")[0]}
    scores = validate(result.generator, task.pictures.validation, task.masks, measures)
    return {"steps": steps, "seconds_per_step": pace, "seconds": round(result.seconds, 1), "scores": scores}


def _pace(trial: Trial) -> float:
    """Seconds of a step, measured on networks that are thrown away."""
    timed_steps = budget.WARM_UP_STEPS + budget.TIMED_STEPS
    learner = trial.learner(timed_steps)
    return budget.seconds_per_step(learner, trial.batches(learner, 0, timed_steps), trial.device)


def validate(generator: nn.Module, real: Images, masks: MasksConfig, measures: Sequence[Measure]) -> dict[str, float | None]:
    """Means of the metrics over the pictures (N, S, S, 3) uint8 that have a finite value; None where none has."""
    holes = np.stack([numbered_mask(masks.protocols[0], masks.seed, i, *real.shape[1:3]) for i in range(len(real))])
    fake = np.stack([inpaint(generator, image, hole) for image, hole in zip(real, holes, strict=True)])
    names = [str(index) for index in range(len(real))]
    columns = score_images(Pairs(names, fake.__getitem__, real.__getitem__, holes.__getitem__), measures, BATCH).values
    finite = {key: column[np.isfinite(column)] for key, column in columns.items()}
    return {key: float(column.mean()) if len(column) else None for key, column in finite.items()}


def ranked(lines: Sequence[Mapping[str, Any]]) -> list[tuple[bool, Mapping[str, Any]]]:
    """The trials, the best first (see above), each with whether its L1 in the hole is near the lowest."""
    l1, lpips = L1_HOLE.key, LPIPS.of("alex").key
    scored = [line for line in lines if "scores" in line]
    lowest = min((line["scores"][l1] for line in scored), default=0.0)
    near = [(line["scores"][l1] <= NEAR * lowest, line) for line in scored]
    near.sort(key=lambda pair: (not pair[0], pair[1]["scores"][lpips], pair[1]["trial"]))
    return near + [(False, line) for line in lines if "scores" not in line]


def table(lines: Sequence[Mapping[str, Any]], side_px: int) -> str:
    """Markdown: a line a trial, the best first and in bold."""
    shown = metrics(side_px)
    heads = ["trial", "changed settings", "steps", "seconds", *(f"{m.title} {m.arrow}" for m in shown), "L1 within 5 %"]
    rows = [heads, ["---:", "---", *["---:"] * (len(shown) + 2), "---"]]
    for place, (is_near, line) in enumerate(ranked(lines)):
        trial = f"**{line['trial']}**" if place == 0 and is_near else str(line["trial"])
        changes = ", ".join(f"{key} {_text(value)}" for key, value in line["changes"].items()) or "none"
        if "scores" in line:
            cells = [str(line["steps"]), f"{line['seconds']:.0f}"]
            values = [line["scores"][metric.key] for metric in shown]
            cells += ["–" if value is None else m.text(value) for m, value in zip(shown, values, strict=True)]
            rows.append([trial, changes, *cells, "yes" if is_near else "no"])
        else:
            rows.append([trial, changes, *["–"] * (len(shown) + 2), line["failed"]])
    return "".join(f"| {' | '.join(cells)} |\n" for cells in rows)


def _text(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("method", choices=list(SPACES))
    parser.add_argument("--trials", type=int, default=8, help="the recipe as it stands included")
    parser.add_argument("--minutes", type=float, default=2.0, help="wall time of each training")
    parser.add_argument("--seed", type=int, default=0, help="of the draws and of all trainings")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--recipe", help="where the search begins, an entry of recipes; the method's name if it is left out")
    parser.add_argument("--profile", default="quick", help="a file of profiles/, without .yaml; quick: params.yaml as it is")
    parser.add_argument("--output", type=Path, help="file of a line a trial; reports/searches/PROFILE/RECIPE.jsonl")
    arguments = parser.parse_args()
    try:
        run(arguments)
    except (UserError, OSError) as error:
        sys.exit(f"search: {error}")


def run(arguments: argparse.Namespace) -> None:
    """Searches and prints.

    Raises:
        UserError: impossible arguments, parameters or data; see `search`.
    """
    for name in ("trials", "minutes", "threads"):
        if not getattr(arguments, name) > 0:
            raise UserError(f"--{name}: {getattr(arguments, name)} is not positive")
    if not 0 <= arguments.seed <= MAX_SEED:
        raise UserError(f"--seed: {arguments.seed} is not from 0 to {MAX_SEED}")
    config = profile_config(arguments.profile)
    recipe_name = arguments.recipe or arguments.method
    recipe = config.recipes.get(recipe_name)
    if recipe is None or recipe.method != arguments.method:
        names = [name for name, known in config.recipes.items() if known.method == arguments.method]
        raise UserError(f"--recipe: {recipe_name!r} is no recipe of {arguments.method}; known are {', '.join(names)}")
    dataset = config.datasets[0]
    pictures = read_pictures(dataset)
    if pictures.side_px != config.prepare.image_size_px:
        raise UserError(
            f"{dataset}: prepared pictures of {pictures.side_px} px, but profile {arguments.profile} has"
            f" prepare.image_size_px: {config.prepare.image_size_px}; prepare the data with that profile"
        )
    keep_freed_memory()
    train = dataclasses.replace(config.train, steps=0, minutes=arguments.minutes)
    runtime = dataclasses.replace(config.runtime, num_threads=arguments.threads, num_workers=0)
    output = arguments.output or Path("reports/searches") / arguments.profile / f"{recipe_name}.jsonl"
    task = Search(Candidate(recipe, train), pictures, config.masks, runtime, arguments.seed)
    lines = search(task, arguments.trials, output)
    print(
        f"`recipes.{recipe_name}` of profile {arguments.profile}: {len(lines)} trials of {arguments.minutes:g} minutes on"
        f" {dataset}, {len(pictures.training)} pictures for training, {len(pictures.validation)} for validation.\n"
    )
    print(table(lines, pictures.side_px))


def profile_config(name: str) -> Config:
    """The parameters of a profile; `quick` is `params.yaml` as it is.

    Raises:
        UserError: there is no such profile, or it is broken.
    """
    return load_params() if name == "quick" else config_from_mapping(Config, resolved(name, committed_params()), name)


if __name__ == "__main__":
    main()
