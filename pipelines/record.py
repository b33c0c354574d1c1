"""Completes the MLflow record of every data set and method from the files of the last `dvc repro`."""

from __future__ import annotations

import sys

from pipelines.params import load_params


def main() -> None:
    """Records what is not recorded yet; nothing is logged twice."""
    from pipelines.tracking import record

    try:
        config = load_params()
        for dataset in config.datasets:
            for method in config.methods.all:
                new = record(dataset, method, config.tracking)
                print(f"{method} on {dataset}: {'recorded' if new else 'already recorded'} in {config.tracking.uri}")
    except (ValueError, OSError) as error:
        sys.exit(f"record: {error}")


if __name__ == "__main__":
    main()
