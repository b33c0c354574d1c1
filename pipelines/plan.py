"""What a profile costs before anything runs: stages, pictures, disk, and days at a given pace of training.

    python -m pipelines.plan                            # of params.yaml
    python -m pipelines.plan --profile paper --seconds-a-step 0.5

Disk: archives and one prepared copy as the data cards say; results are lossless pictures, two for each method, protocol and
test picture, of about two bytes a pixel. `dvc repro --dry` lists a stage only when those before it have run once.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass

from pennet.config import Config, config_from_mapping
from pennet.errors import UserError
from pipelines.params import load_params
from pipelines.profile import committed_params, resolved

BYTES_A_PIXEL = 2
SECONDS_A_DAY = 86_400


@dataclass(frozen=True)
class Plan:
    """One data set's part."""

    name: str
    stages: int
    trainings: int
    steps: int
    """Of a training; 0 where its budget is minutes."""
    minutes: float
    train_pictures: int | None
    """None: known only when they are here."""
    test_pictures: int | None
    data_bytes: int | None
    results_bytes: int | None

    def epochs(self, batch_size: int) -> float | None:
        return self.steps * batch_size / self.train_pictures if self.train_pictures else None


def plan(config: Config, dataset: str) -> Plan:
    """What `dvc repro` does for a data set, counted from its parameters."""
    from pennet.data.sets import find

    own = config.of(dataset)
    data_set = find(own.sources[dataset].data_set)
    splits = dict(data_set.splits)
    num_test = splits.get("test")
    if num_test is not None and own.prepare.test_images:
        num_test = min(num_test, own.prepare.test_images)
    learned, classical = len(own.methods.learned) * len(own.seeds), len(own.methods.classical)
    pictures = None if num_test is None else num_test * len(own.masks.protocols) * 2 * (learned + classical)
    return Plan(
        name=dataset,
        stages=4 + 3 * learned + 2 * classical,  # download, prepare, masks, compare; train, inpaint, evaluate of each
        trainings=learned,
        steps=own.train.steps,
        minutes=own.train.minutes,
        train_pictures=splits.get("train"),
        test_pictures=num_test,
        data_bytes=data_set.disk_bytes,
        results_bytes=None if pictures is None else pictures * own.prepare.image_size_px**2 * BYTES_A_PIXEL,
    )


def table(config: Config, seconds_a_step: float | None) -> str:
    """Markdown: a row a data set."""
    from pennet.data.sets.card import bytes_text

    heads = ["data set", "stages", "trainings", "steps of each", "epochs", "test pictures", "archives, prepared", "results"]
    rows = [[*heads, *([f"days at {seconds_a_step:g} s a step"] if seconds_a_step else [])]]
    rows.append(["---", *["---:"] * (len(rows[0]) - 1)])
    for part in (plan(config, dataset) for dataset in config.datasets):
        epochs = part.epochs(config.of(part.name).train.batch_size)
        sizes = [bytes_text(size) if size else "?" for size in (part.data_bytes, part.results_bytes)]
        budget = f"{part.steps:,}" if part.steps else f"{part.minutes:g} minutes"
        tested = f"{part.test_pictures:,}" if part.test_pictures else "?"
        cells = [
            part.name,
            str(part.stages),
            str(part.trainings),
            budget,
            f"{epochs:,.0f}" if epochs else "?",
            tested,
            *sizes,
        ]
        if seconds_a_step:
            seconds = part.steps * seconds_a_step if part.steps else part.minutes * 60
            cells.append(f"{part.trainings * seconds / SECONDS_A_DAY:,.1f}")
        rows.append(cells)
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--profile", help="a file of profiles/, without .yaml; without it params.yaml as it is")
    parser.add_argument("--seconds-a-step", type=float, help="pace of the trainings, one at a time")
    arguments = parser.parse_args()
    try:
        name = arguments.profile
        config = config_from_mapping(Config, resolved(name, committed_params()), name) if name else load_params()
        print(table(config, arguments.seconds_a_step), end="")
    except (UserError, OSError) as error:
        sys.exit(f"plan: {error}")


if __name__ == "__main__":
    main()
