"""What a complete MLflow run holds beside its parameters and test metrics: curves, cost, files, pictures, data set."""

from __future__ import annotations

import dataclasses
import hashlib
import re
from pathlib import Path
from typing import TYPE_CHECKING

from pipelines import layout
from pipelines.params import read_yaml

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from pennet.cost import Cost

SAMPLE_COMPOSITES = 8
"""Test composites in the run, for the image grid of MLflow's compare page."""
MAX_NAME_CHARACTERS = 60
"""Of a picture's name in a key: MLflow makes file names of keys, and adds 100 characters."""
_PLAIN_NAME = re.compile(rf"[A-Za-z0-9_-][A-Za-z0-9_.-]{{0,{MAX_NAME_CHARACTERS - 1}}}")
_ENDS_LIKE_A_DIGEST = re.compile(r"-[0-9a-f]{8}$")


def log_curves(run_id: str, history_path: Path) -> None:
    """The training curves, but for the points that the live run already holds."""
    import mlflow
    import pandas as pd
    from mlflow.entities import Metric

    if not history_path.exists():
        return
    client = mlflow.MlflowClient()
    logged = {point.step for point in client.get_metric_history(run_id, "train/generator")}
    history = pd.read_csv(history_path)
    history = history[~history["step"].isin(logged)]
    points = [
        Metric(f"train/{name}", float(value), 0, int(step))
        for name in history.columns.drop("step")
        for step, value in zip(history["step"], history[name], strict=True)
    ]
    for start in range(0, len(points), 1000):
        client.log_batch(run_id, metrics=points[start : start + 1000])


def log_cost(cost: Cost, timing_path: Path) -> None:
    """`cost/steps` and the others, beside the test metrics they bought; where the training ran also its time."""
    import mlflow

    from pennet.cost import read_timing

    values = dataclasses.asdict(cost)
    if timing_path.exists():
        timing = dataclasses.asdict(read_timing(timing_path))
        mlflow.set_tags({f"machine.{name}": str(timing[name]) for name in ("device", "processes", "num_threads", "torch")})
        values |= {name: timing[name] for name in ("seconds", "images_per_second", "peak_memory_mib")}
    mlflow.log_metrics({f"cost/{name}": float(value) for name, value in values.items() if isinstance(value, int | float)})


def log_pictures(run_id: str, report_dir: Path, filled_dir: Path) -> None:
    """The report's files, its sheet and some composites; a picture that the run already holds is not logged again.

    MLflow cannot replace a picture: one that has changed, or was not written whole, becomes the next step of its key.
    """
    import mlflow

    mlflow.log_artifacts(str(report_dir), "report")
    logged = [item.path for item in mlflow.MlflowClient().list_artifacts(run_id, "images")]
    composites = sorted((filled_dir / "composite").rglob("*.png"))[:SAMPLE_COMPOSITES]  # names may hold folders
    pictures = {"test_sheet": report_dir / "sheet.png"}
    pictures |= {f"composite_{safe_name(_name(path, filled_dir / 'composite'))}": path for path in composites}
    for key, path in pictures.items():
        _log_picture(run_id, key, path, [name for name in logged if f"/{key}+step+" in name])


def _name(path: Path, folder: Path) -> str:
    return path.relative_to(folder).with_suffix("").as_posix()


def safe_name(name: str) -> str:
    """A picture's name as MLflow takes it in keys: letters, digits, `_`, `-`, `.`; other names are changed and digested.

    Different names stay different, whatever they hold: what could be another's digest gets one of its own.
    """
    if _PLAIN_NAME.fullmatch(name) and not _ENDS_LIKE_A_DIGEST.search(name):
        return name
    readable = re.sub(r"[^A-Za-z0-9_-]+", "_", name)[:MAX_NAME_CHARACTERS]
    return f"{readable}-{hashlib.sha256(name.encode(errors='surrogateescape')).hexdigest()[:8]}"


def _log_picture(run_id: str, key: str, path: Path, logged: list[str]) -> None:
    """Logs a picture unless the last one with its key, of the artifacts `logged`, has the same pixels and its thumbnail."""
    import mlflow
    import numpy as np
    from PIL import Image

    picture = Image.open(path).convert("RGB")
    steps = {name: int(name.split("+step+")[1].split("+")[0]) for name in logged}
    last = max(steps.values(), default=-1)
    for name in (name for name, step in steps.items() if step == last and name.endswith(".png")):
        thumbnail = f"{name.removesuffix('.png')}+compressed.webp"
        if thumbnail in logged and _pixels(run_id, thumbnail) is not None:
            pixels = _pixels(run_id, name)
            if pixels is not None and np.array_equal(pixels, np.asarray(picture)):
                return
    mlflow.log_image(picture, key=key, step=last + 1, synchronous=True)  # else a thread only logs that the disk is full


def _pixels(run_id: str, artifact: str) -> NDArray[np.uint8] | None:
    """(H, W, 3) of a picture of the run; None if a full disk left it empty or cut short."""
    import mlflow
    import numpy as np
    from PIL import Image

    brought = mlflow.artifacts.download_artifacts(run_id=run_id, artifact_path=artifact)
    try:
        return np.asarray(Image.open(brought).convert("RGB"))
    except OSError:
        return None


def log_data(dataset: str) -> None:
    """The index of the prepared data as an MLflow data set, its digest the one DVC knows."""
    import mlflow
    import pandas as pd
    from mlflow.data.pandas_dataset import from_pandas

    folder = layout.prepared_dir(dataset)
    index = pd.read_parquet(folder / "index.parquet", columns=["key", "split", "group", "width_px", "height_px", "size"])
    data = from_pandas(index, source=str(folder), name=dataset, digest=_dvc_digest(folder))
    mlflow.log_input(data, context="training")


def _dvc_digest(folder: Path) -> str | None:
    """The md5 that `dvc.lock` holds for a folder; None where DVC has not recorded it."""
    lock = Path("dvc.lock")
    if not lock.exists():
        return None
    for stage in read_yaml(lock)["stages"].values():
        for out in stage.get("outs", []):
            if out["path"] == folder.as_posix():
                return str(out["md5"]).removesuffix(".dir")
    return None
