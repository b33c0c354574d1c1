"""Stage `evaluate`: scores a method's pictures against the ground truth.

`outputs/` + `data/` -> `report.json`, `per_image.csv`, `sheet.png`, and `metrics.json` for `dvc metrics` and for git, all in
`reports/DATASET/methods/METHOD[/seed-SEED]/`.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pennet.config import EvaluateConfig, RuntimeConfig
from pennet.errors import UserError
from pipelines import layout
from pipelines.params import stage_main

if TYPE_CHECKING:
    import numpy as np

    from pennet.metrics.scoring import Pairs

FEATURE_CACHE_DIR = Path(".cache/features")
"""Features of ground truth, shared by all methods; safe to delete."""
_SHOWN = 3


def run(dataset: str, method: str, seed: int | None = None, *, evaluate: EvaluateConfig, runtime: RuntimeConfig) -> None:
    """Scores the composites of METHOD (as trained from SEED) on the test images of DATASET."""
    from pennet.atomic import write_json
    from pennet.data.picture_files import save_png
    from pennet.metrics.features import INCEPTION_FILE
    from pennet.metrics.per_image import write_per_image
    from pennet.metrics.report import rounded_values, write_report
    from pennet.metrics.scoring import score
    from pennet.seeding import apply_runtime, seed_everything

    device = apply_runtime(runtime)
    seed_everything(evaluate.seed)
    pairs = _load_pairs(dataset, layout.outputs_dir(dataset, method, seed))
    inception_weights = Path(evaluate.weights_dir) / INCEPTION_FILE
    report, per_image = score(pairs, evaluate, device, FEATURE_CACHE_DIR, inception_weights)
    folder = layout.report_dir(dataset, method, seed)
    write_report(folder / "report.json", report)
    write_json(folder / "metrics.json", rounded_values(report))
    write_per_image(folder / "per_image.csv", per_image)
    prediction_dir = layout.outputs_dir(dataset, method, seed) / "prediction"
    save_png(folder / "sheet.png", _sheet(pairs, prediction_dir, evaluate.sheet_images))


def _load_pairs(dataset: str, outputs: Path) -> Pairs:
    """The test images and masks, mapped from the disk, and the method's composites.

    Raises:
        UserError: the files do not belong together; names the first that is missing or has another size.
    """
    import numpy as np

    from pennet.data.picture_files import read_rgb
    from pennet.metrics.scoring import Pairs
    from pipelines.outputs import test_set

    names, images, masks = test_set(dataset)
    for folder in (outputs / "composite", outputs / "prediction"):
        missing = [name for name in names if not (folder / f"{name}.png").exists()]
        if missing:
            first = ", ".join(f"{name}.png" for name in missing[:_SHOWN])
            raise UserError(f"{folder}: lacks {len(missing)} pictures ({first}); run inpaint again")

    def composite(i: int) -> np.ndarray:
        path = outputs / "composite" / f"{names[i]}.png"
        picture = read_rgb(path)
        if picture.shape != images[i].shape:
            shapes = f"has shape {picture.shape}, the image {images[i].shape}"
            raise UserError(f"{path}: {shapes}; run inpaint again")
        return picture

    return Pairs(names, fake=composite, real=lambda i: np.asarray(images[i]), mask=lambda i: np.asarray(masks[i]))


def _sheet(pairs: Pairs, prediction_dir: Path, num_images: int) -> np.ndarray:
    """The first test images: input with a white hole, prediction, composite, ground truth."""
    import numpy as np

    from pennet.data.picture_files import read_rgb
    from pennet.pictures import sheet

    assert pairs.mask is not None
    rows = []
    for i, name in enumerate(pairs.names[:num_images]):
        image, hole = pairs.real(i), pairs.mask(i)[..., None] > 0
        masked = np.where(hole, np.uint8(255), image)
        rows.append([masked, read_rgb(prediction_dir / f"{name}.png"), pairs.fake(i), image])
    return sheet(rows, ["input", "prediction", "composite", "ground truth"])


if __name__ == "__main__":
    stage_main(run)
