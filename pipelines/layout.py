"""Where each stage reads and writes: the paths of `dvc.yaml`, in one place."""

from __future__ import annotations

from pathlib import Path


def raw_archive(dataset: str) -> Path:
    return Path("data/raw") / dataset / "archive.zip"


def prepared_dir(dataset: str) -> Path:
    """`train.npy`, `test.npy` (uint8, N x S x S x 3) and `manifest.csv`, whose rows follow the arrays."""
    return Path("data/prepared") / dataset


def masks_dir(dataset: str) -> Path:
    """`test.npy` (uint8, N x S x S, 1 = hole) and `manifest.csv`, in the order of the test images."""
    return Path("data/masks") / dataset


def model_dir(dataset: str, method: str) -> Path:
    """`generator.safetensors` (the weights), `config.json` (what built them) and `history.csv` (the curves)."""
    return Path("models") / dataset / method


def checkpoints_dir(fingerprint: str) -> Path:
    """Resume state: known to neither git nor DVC, and another folder for every configuration."""
    return Path("checkpoints") / fingerprint


def outputs_dir(dataset: str, method: str) -> Path:
    """`prediction/` and `composite/`: one lossless PNG per test image."""
    return Path("outputs") / dataset / method


def report_dir(dataset: str, method: str) -> Path:
    """`metrics.json`, `per_image.csv` and `sheet.png`."""
    return Path("reports") / dataset / "methods" / method


def contact_sheet_dir(dataset: str) -> Path:
    return Path("reports") / dataset / "data"


def comparison_dir(dataset: str) -> Path:
    return Path("reports") / dataset / "comparison"
