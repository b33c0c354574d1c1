"""Where each stage reads and writes: the paths of `dvc.yaml`, in one place."""

from __future__ import annotations

from pathlib import Path

SOURCES = "sources"
IDENTITY_FILE = "identity.json"
"""Beside weights and checkpoints: what decides them."""


def archives_dir(dataset: str) -> Path:
    """Downloaded archives, of any size: known to neither git nor DVC, which would keep a second copy."""
    return Path("data/archives") / dataset


def receipt_path(dataset: str) -> Path:
    """What stage `download` has brought: paths, sizes, checksums."""
    return Path("data/raw") / f"{dataset}.json"


def preparing_dir(dataset: str) -> Path:
    """What a preparation that was interrupted goes on from: known to neither git nor DVC, which empties outs."""
    return Path("data/preparing") / dataset


def prepared_dir(dataset: str) -> Path:
    """Shards, `index.parquet` and what goes with them; see `pennet.data.pictures.shards`."""
    return Path("data/prepared") / dataset


def masks_dir(dataset: str) -> Path:
    """The test masks of every protocol and their index; see `pennet.mask_sets.store`."""
    return Path("data/masks") / dataset


def model_dir(dataset: str, method: str, seed: int) -> Path:
    """`generator.safetensors` (the weights), `config.json` (what built them) and `identity.json` (what decided them)."""
    return Path("models") / dataset / _trial(method, seed)


def checkpoints_dir(identity: str) -> Path:
    """Resume state: known to neither git nor DVC, and another folder for every configuration."""
    return Path("checkpoints") / identity


def origin_dir(identity: str) -> Path:
    """What it takes to train this again; see `pipelines.provenance`."""
    return checkpoints_dir(identity) / "origin"


def outputs_dir(dataset: str, method: str, seed: int | None) -> Path:
    """What a method painted: a folder for each protocol."""
    return Path("outputs") / dataset / _trial(method, seed)


def filled_dir(dataset: str, method: str, seed: int | None, protocol: str) -> Path:
    """`prediction/` and `composite/`: one lossless PNG per test image."""
    return outputs_dir(dataset, method, seed) / protocol


def sources_dir(dataset: str, method: str, seed: int | None, protocol: str) -> Path:
    """Of a method that copies pixels: one array (int16, 2 x S x S, line and column) for each picture of the showcase."""
    return filled_dir(dataset, method, seed, protocol) / SOURCES


def report_dir(dataset: str, method: str, seed: int | None) -> Path:
    """`metrics.json` (for `dvc metrics`), `report.json`, `per_image.csv`, `sheet.png`; of a training also `cost.json` and
    `history.csv` (its curves)."""
    return Path("reports") / dataset / "methods" / _trial(method, seed)


def _trial(method: str, seed: int | None) -> Path:
    """A learned method is trained once a seed; a classical one has none."""
    return Path(method) if seed is None else Path(method) / f"seed-{seed}"


def contact_sheet_dir(dataset: str) -> Path:
    return Path("reports") / dataset / "data"


def comparison_dir(dataset: str) -> Path:
    return Path("reports") / dataset / "comparison"


def promotion_dir(dataset: str) -> Path:
    """`decision.json` and `decision.md`: the last decision on the champion, written by `python -m pipelines.promote`."""
    return Path("reports") / dataset / "promotion"


def summary_path(dataset: str) -> Path:
    """The headline metrics of all trainings in one JSON file: short, different names, the columns of `dvc exp show`."""
    return Path("reports") / dataset / "metrics.json"


def metrics_table(dataset: str) -> Path:
    """Every metric of every method as CSV: what `dvc plots` draws."""
    return Path("reports") / dataset / "metrics.csv"


def timing_page(dataset: str) -> Path:
    """What the trainings took on this machine: known to neither git nor DVC."""
    return Path("reports") / dataset / "timing.md"


def plots_dir(dataset: str) -> Path:
    """`metrics.png` and `curves.png`, for `dvc plots` and for people."""
    return Path("reports") / dataset / "plots"


def study_dir(profile: str) -> Path:
    """A study's own clone of the project: known to neither git nor DVC."""
    return Path(".studies") / profile


def study_report_dir(profile: str, dataset: str) -> Path:
    """What git keeps of a study: `comparison/` and `plots/`."""
    return Path("reports/studies") / profile / dataset
