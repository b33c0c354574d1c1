"""What a run leaves in Prefect's UI: tables, pictures, links to MLflow, and how far a training has come."""

from __future__ import annotations

import base64
import io
import re
import time
from contextlib import suppress
from pathlib import Path
from typing import cast
from uuid import UUID

from prefect.artifacts import (
    create_image_artifact,
    create_markdown_artifact,
    create_progress_artifact,
    update_progress_artifact,
)

from pennet.config import Config
from pipelines import layout
from pipelines.running.mlflow_links import links
from pipelines.running.slots import SERVER_ERRORS

PICTURES = ("at_a_glance.png", "side_by_side.png")
"""Of `comparison/`, the sheets that are shown."""
SHEET_PX, JPEG_QUALITY = 1200, 80
"""Width of a sheet in the UI, which keeps it in its database: some 100 kB."""
_UPDATE_SECONDS = 5.0
_BAR = re.compile(r"^train: +\d+%\|.*\| (\d+)/(\d+) \[")
"""The progress bar of the training loop (tqdm): steps done, steps in all."""


class Progress:
    """Shows the progress bar that a training prints as Prefect's; nothing happens before the first one."""

    def __init__(self, stage: str):
        self.stage = stage
        self._artifact: UUID | None = None
        self._next = 0.0

    def __call__(self, line: str) -> None:
        """Takes a line of the training's output."""
        if not (match := _BAR.match(line)):
            return
        done, total = int(match[1]), int(match[2])
        if not total or (time.monotonic() < self._next and done < total):
            return
        self._next = time.monotonic() + _UPDATE_SECONDS
        percent, description = 100 * done / total, f"{self.stage}: {done:,} of {total:,} steps"
        with suppress(*SERVER_ERRORS):  # the next line tries again
            if self._artifact is None:
                self._artifact = cast(UUID, create_progress_artifact(percent, key_of("progress", self.stage), description))
            else:
                update_progress_artifact(self._artifact, percent, description)


def show_results(config: Config, folder: Path) -> None:
    """Leaves the comparison of each data set, as far as there is one, and the way to its MLflow runs.

    Args:
        config: of the run.
        folder: where `reports/` lies.
    """
    for dataset in config.datasets:
        comparison = folder / layout.comparison_dir(dataset)
        _show_page(comparison / "comparison.md", key_of("comparison", dataset), f"{dataset}: methods compared")
        for name in PICTURES:
            if (picture := comparison / name).exists():
                create_image_artifact(jpeg_uri(picture), key_of(picture.stem, dataset), f"{dataset}: {picture}")
    create_markdown_artifact(links(config.tracking, config.datasets), "mlflow-runs", "The MLflow runs of these data sets")


def show_decision(dataset: str, folder: Path) -> None:
    """Leaves what `promote` decided, as far as it did."""
    _show_page(
        folder / layout.promotion_dir(dataset) / "decision.md",
        key_of("promotion", dataset),
        f"{dataset}: whether the champion moves, and why",
    )


def _show_page(path: Path, key: str, description: str) -> None:
    if path.exists():
        create_markdown_artifact(path.read_text(encoding="utf-8"), key, description)


def jpeg_uri(path: Path) -> str:
    """A picture as a `data:` address, small enough for a database: no server has to serve the file."""
    from PIL import Image

    with Image.open(path) as picture:
        small = picture.convert("RGB")
    small.thumbnail((SHEET_PX, SHEET_PX * 4))
    buffer = io.BytesIO()
    small.save(buffer, "JPEG", quality=JPEG_QUALITY)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()


def key_of(*words: str) -> str:
    """A name that Prefect takes: small letters, digits and dashes."""
    return re.sub(r"[^a-z0-9]+", "-", "-".join(words).lower()).strip("-")
