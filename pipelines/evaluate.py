"""Stage `evaluate`: scores a method's pictures against the ground truth, protocol by protocol.

`outputs/` + `data/` -> `report.json`, `per_image.csv`, `sheet.png`, and `metrics.json` for `dvc metrics` and for git, all in
`reports/DATASET/methods/METHOD[/seed-SEED]/`. `metrics.json` is of the headline, the first protocol; the others are of all.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from pennet.config import EvaluateConfig, RuntimeConfig
from pennet.errors import UserError
from pipelines import layout
from pipelines.params import stage_main

if TYPE_CHECKING:
    import numpy as np
    import torch

    from pennet.in_order import Workers
    from pennet.metrics.pairs import Pairs

FEATURE_CACHE_DIR = Path(".cache/features")
"""Features of ground truth, shared by all methods; safe to delete."""
_SHOWN = 3


def run(dataset: str, method: str, seed: int | None = None, *, evaluate: EvaluateConfig, runtime: RuntimeConfig) -> None:
    """Scores the composites of METHOD (as trained from SEED) on the test images of DATASET."""
    from pennet.atomic import write_json
    from pennet.data.pictures.picture_files import save_png
    from pennet.metrics.features import INCEPTION_FILE
    from pennet.metrics.per_image import write_per_protocol
    from pennet.metrics.report import rounded_values, write_reports
    from pennet.metrics.scoring import score
    from pennet.seeding import apply_runtime, seed_everything
    from pipelines.outputs import protocols

    device = apply_runtime(runtime)
    outputs = {protocol: layout.filled_dir(dataset, method, seed, protocol) for protocol in protocols(dataset)}
    pairs = {protocol: _load_pairs(dataset, protocol, filled) for protocol, filled in outputs.items()}
    inception_weights = Path(evaluate.weights_dir) / INCEPTION_FILE
    reports, tables = {}, {}
    with _workers(runtime, device) as who:
        for protocol, of_protocol in pairs.items():
            seed_everything(evaluate.seed)  # as if it were alone
            scores = score(of_protocol, evaluate, device, FEATURE_CACHE_DIR, inception_weights, who)
            reports[protocol], tables[protocol] = scores
    folder, headline = layout.report_dir(dataset, method, seed), next(iter(reports.values()))
    write_reports(folder / "report.json", reports)
    write_json(folder / "metrics.json", rounded_values(headline))
    write_per_protocol(folder / "per_image.csv", tables)
    save_png(folder / "sheet.png", _sheet(pairs, outputs, evaluate.sheet_images))


def _load_pairs(dataset: str, protocol: str, outputs: Path) -> Pairs:
    """The test images, the masks of a protocol and the method's composites, read when they are asked for.

    Raises:
        UserError: the files do not belong together; names the first that is missing or has another size.
    """
    from pennet.metrics.stored_pairs import stored_pairs
    from pipelines.outputs import test_set

    names = test_set(dataset, protocol).names
    for folder in (outputs / "composite", outputs / "prediction"):
        missing = [name for name in names if not (folder / f"{name}.png").exists()]
        if missing:
            first = ", ".join(f"{name}.png" for name in missing[:_SHOWN])
            raise UserError(f"{folder}: lacks {len(missing)} pictures ({first}); run inpaint again")
    return stored_pairs(layout.prepared_dir(dataset), layout.masks_dir(dataset), protocol, outputs / "composite")


@contextmanager
def _workers(runtime: RuntimeConfig, device: torch.device) -> Iterator[Workers]:
    """The cluster, if there is one, which computes as this process does; on one machine torch's threads use the cores."""
    from pennet.in_order import ALONE
    from pennet.seeding import apply_runtime
    from pipelines.workers import workers

    if not runtime.dask:
        yield ALONE
        return
    with workers(runtime) as cluster:
        yield replace(cluster, ready=partial(apply_runtime, replace(runtime, device=str(device))))


def _sheet(pairs: Mapping[str, Pairs], outputs: Mapping[str, Path], num_images: int) -> np.ndarray:
    """The first test images, protocol by protocol: input with a white hole, prediction, composite, ground truth."""
    import numpy as np

    from pennet.data.pictures.picture_files import read_rgb
    from pennet.pictures import sheet

    rows = []
    for protocol, of_protocol in pairs.items():
        assert of_protocol.mask is not None
        for i, name in enumerate(of_protocol.names[:num_images]):
            image, hole = of_protocol.real(i), of_protocol.mask(i)[..., None] > 0
            prediction = read_rgb(outputs[protocol] / "prediction" / f"{name}.png")
            rows.append([np.where(hole, np.uint8(255), image), prediction, of_protocol.fake(i), image])
    return sheet(rows, ["input", "prediction", "composite", "ground truth"])


if __name__ == "__main__":
    stage_main(run)
