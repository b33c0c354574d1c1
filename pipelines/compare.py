"""Stage: all methods of a data set side by side.

`reports/DATASET/METHOD/` of every method -> `comparison.json`, `.csv` and `.md` in
`reports/DATASET/comparison/`.
"""

from __future__ import annotations

from pennet.config import EvaluateConfig, MethodsConfig
from pipelines import layout
from pipelines.params import stage_main

SCHEMA_VERSION = 1
REFERENCE = "pennet"
"""The method that the others are compared with, where it is in the list; else the first one."""


def run(dataset: str, *, methods: MethodsConfig, evaluate: EvaluateConfig) -> None:
    """Compares the methods on the test images of DATASET."""
    import dataclasses

    from pennet.atomic import write_json, write_text
    from pennet.metrics.comparison import compare
    from pennet.metrics.per_image import read_per_image
    from pennet.metrics.report import read_report
    from pennet.metrics.tables import csv_text, markdown

    if not methods.all:
        raise ValueError("methods: names no method; list at least one in params.yaml")
    reference = REFERENCE if REFERENCE in methods.all else methods.all[0]
    folders = {method: layout.report_dir(dataset, method) for method in methods.all}
    comparison = compare(
        {method: read_report(folder / "metrics.json") for method, folder in folders.items()},
        {method: read_per_image(folder / "per_image.csv") for method, folder in folders.items()},
        reference,
        evaluate.bootstrap_resamples,
        evaluate.seed,
    )
    target = layout.comparison_dir(dataset)
    content = {"schema_version": SCHEMA_VERSION} | dataclasses.asdict(comparison)
    write_json(target / "comparison.json", content)
    write_text(target / "comparison.csv", csv_text(comparison))
    write_text(target / "comparison.md", markdown(comparison, f"{dataset}: methods compared"))


if __name__ == "__main__":
    stage_main(run)
