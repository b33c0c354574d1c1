"""Completes the MLflow record of every data set and method from the files of the last `dvc repro`."""

from __future__ import annotations

import sys

from pennet.errors import UserError
from pipelines.params import load_params


def main() -> None:
    """Records what is not recorded yet; nothing is logged twice."""
    from pipelines.tracking import record

    try:
        config = load_params()
        for dataset in config.datasets:
            trials = [(method, seed) for method in config.methods.learned for seed in config.seeds]
            for method, seed in [*trials, *((method, None) for method in config.methods.classical)]:
                new = record(dataset, method, seed, config.tracking)
                name = method if seed is None else f"{method} (seed {seed})"
                print(f"{name} on {dataset}: {'recorded' if new else 'already recorded'} in {config.tracking.uri}")
    except (UserError, OSError) as error:
        sys.exit(f"record: {error}")


if __name__ == "__main__":
    main()
