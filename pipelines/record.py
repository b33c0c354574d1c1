"""Completes the MLflow record of every data set and method from the files of the last `dvc repro`."""

from __future__ import annotations

import sys

from pennet.config import Config
from pennet.errors import UserError
from pipelines import layout
from pipelines.identity import digest, read_identity
from pipelines.params import load_params


def main() -> None:
    """Records what is not recorded yet, nothing twice; before that, ends runs whose process is gone."""
    from pipelines.tracking.record import close_dead, record

    try:
        config = load_params()
        for dataset in config.datasets:
            for line in close_dead(dataset, config.tracking):
                print(line)
        for dataset in config.datasets:
            trials = [(method, seed) for method in config.methods.learned for seed in config.seeds]
            for method, seed in [*trials, *((method, None) for method in config.methods.classical)]:
                new = record(dataset, method, seed, config.tracking)
                name = method if seed is None else f"{method} (seed {seed})"
                print(f"{name} on {dataset}: {'recorded' if new else 'already recorded'} in {config.tracking.uri}")
            _write_timing_page(dataset, config)
    except (UserError, OSError) as error:
        sys.exit(f"record: {error}")


def _write_timing_page(dataset: str, config: Config) -> None:
    from pennet.atomic import write_text
    from pennet.comparison.tables import timing_table
    from pennet.cost import read_timing

    timings = {}
    for method in config.methods.learned:
        identities = (read_identity(layout.model_dir(dataset, method, seed) / layout.IDENTITY_FILE) for seed in config.seeds)
        paths = [layout.checkpoints_dir(digest(identity)) / "timing.json" for identity in identities if identity]
        timings[method] = [read_timing(path) for path in paths if path.exists()]
    if timings:
        write_text(layout.timing_page(dataset), f"# {dataset}: what the trainings took here\n\n{timing_table(timings)}")


if __name__ == "__main__":
    main()
