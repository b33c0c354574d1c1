"""A small copy of this project in a folder of its own, with its own git and DVC state."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

ROOT = Path(__file__).parents[1]
COPIED = (
    "pennet",
    "pipelines",
    "data/embedded",
    "data/weights",
    ".dvc/.gitignore",
    ".dvc/config",
    ".dvc/plots",
    ".dvcignore",
    ".gitignore",
    "Makefile",
    "constraints.txt",
    "dvc.yaml",
    "params.yaml",
    "prefect.yaml",
    "pyproject.toml",
)
SMALL = {
    "methods": {"learned": ["pennet", "gntipt"], "classical": ["telea", "mean"]},
    "prepare": {"image_size_px": 48},
    "train": {"steps": 4, "batch_size": 4, "log_every_steps": 1, "sample_every_steps": 2, "checkpoint_every_steps": 2},
    "recipes": {
        "pennet": {"base_width": 8, "dilations": [1, 2], "discriminator_width": 4, "learning_rate": 0.02},  # steps show
        "gntipt": {"base_width": 8, "discriminator_width": 4},
    },
    "evaluate": {"bootstrap_resamples": 50, "kid_subsets": 5, "lpips_nets": []},
    "promotion": {"better": ["l1_hole"], "guards": {"lpips_alex": None}},
    "runtime": {"num_threads": 1},
}
"""Changes to `params.yaml` that make the whole DAG a matter of seconds, and leave out no stage."""


def make_project(folder: Path, changes: dict[str, Any] | None = None) -> Path:
    """Copies what the pipeline needs, applies the changes to its parameters, and commits."""
    for name in COPIED:
        source, target = ROOT / name, folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy2(source, target)
    change_params(folder, SMALL if changes is None else changes)
    git = ["git", "-c", "user.name=test", "-c", "user.email=test@localhost"]
    for arguments in (["init", "--quiet"], ["add", "."], ["commit", "--quiet", "-m", "A small copy"]):
        subprocess.run([*git, *arguments], cwd=folder, check=True, timeout=60)
    return folder


def change_params(folder: Path, changes: dict[str, Any]) -> None:
    yaml = YAML()
    path = folder / "params.yaml"
    params = yaml.load(path.read_text())
    _merge(params, changes)
    with path.open("w") as file:
        yaml.dump(params, file)


def _merge(values: dict[str, Any], changes: dict[str, Any]) -> None:
    for key, change in changes.items():
        if isinstance(change, dict) and key in values:
            _merge(values[key], change)
        elif change is None:
            values.pop(key, None)
        else:
            values[key] = change


def environment(folder: Path, **more: str) -> dict[str, str]:
    """What a command of the copy runs in: this virtual environment, no server, Prefect's state inside the copy.

    What make tells a make inside it (`make test` runs these tests) is left out.
    """
    foreign = ("PREFECT_", "DVC_", "MLFLOW_", "MAKE", "MFLAGS")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    return {
        **kept,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PREFECT_HOME": str(folder / ".prefect"),
        "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "240",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "DVC_NO_ANALYTICS": "1",
        "DO_NOT_TRACK": "true",
        **more,
    }


def run(folder: Path, *command: str, timeout: float = 300, **more: str) -> subprocess.CompletedProcess[str]:
    """Runs a command in the copy; `python` is this interpreter."""
    line = [sys.executable if word == "python" else word for word in command]
    return subprocess.run(
        line, cwd=folder, env=environment(folder, **more), capture_output=True, text=True, timeout=timeout, check=False
    )
