"""Is the generator that is shipped worth its place beside fills that need no training, on photos that it has never seen?

    python -m benchmarks.shipped pennet/examples data/held-out --output reports/shipped/held-out.md

Every photo is looked at in three sizes: its centre square at 128 and at 256 px, and the whole of it, of up to 512 px. Each
has four holes: squares of a quarter and of half the shorter side in the middle, strokes, and blobs like things that people
take out. What was in the hole is known.

The generator is there twice: as `pennet inpaint` uses it, which looks at large holes at the size that it was trained for,
and on the whole picture at once. Printed are the means of each method for each size and hole, and by how much the first is
above or below the others, paired: a photo is one sample, its sizes and holes averaged, as those of one photo are no evidence
of their own.

Of an archive, data/embedded/photos-256.zip, the validation pictures are taken: choices are made on them, not on the test's.
`--model` takes another trained generator, `--sharpness` another temperature; `--sheet` draws instead of measuring.
"""

from __future__ import annotations

import argparse
import io
import sys
import time
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from pennet.atomic import replacing, write_text
from pennet.classical import fill
from pennet.data.pictures.picture_files import read_rgb
from pennet.data.sets.packed import PACKED
from pennet.data.sets.splits import assign
from pennet.errors import UserError
from pennet.images import Picture, resize_square
from pennet.inpainter import Inpainter, Strategy
from pennet.masks import mask_function
from pennet.masks.mask import Mask
from pennet.metrics.image_scores import Measure, score_images
from pennet.metrics.lpips import LPIPS
from pennet.metrics.pairs import Pairs
from pennet.metrics.pixel import L1_HOLE, PSNR
from pennet.metrics.seam import SEAM
from pennet.metrics.summary import paired_difference
from pennet.pictures import GAP_PX

OURS, AT_ONCE, CLASSICAL = "default", "default, original", ("patchmatch", "telea", "mean")
WEIGHTS = Path(__file__).parents[1] / "pennet/weights/default"
METRICS = (L1_HOLE, PSNR, LPIPS.of("alex"), SEAM)
SECONDS = "seconds"
SHEET_QUALITY = 50
SIZES = ("128", "256", "whole")
HOLES = ("square, 1/4", "square, 1/2", "strokes", "things")
DRAWN = {"strokes": "lama_medium", "things": "objects"}
"""Kinds of `pennet.masks`."""
SEED, RESAMPLES = 7, 2000
VAL_RATIO = 0.1
"""As in profiles/shipped.yaml."""

Fill = Callable[[Picture, Mask], Picture]
ByMethod = dict[str, dict[str, float]]
"""A case's values, by method and metric's key; `seconds` of one core among them."""


class Case(NamedTuple):
    """A photo at a size, with a hole."""

    photo: str
    size: str
    hole: str
    image: Picture
    mask: Mask


def methods(model: Path = WEIGHTS, sharpness: float | None = None) -> dict[str, Fill]:
    """The generator as `pennet inpaint` uses it, the same on the whole picture at once, and the fills without training."""
    inpainter = Inpainter(model, "cpu")

    def ours(image: Picture, mask: Mask, strategy: Strategy) -> Picture:
        filled = inpainter.fill(image, mask, strategy, sharpness).image
        return filled.astype(np.uint8, copy=False)

    by_strategy: dict[str, Fill] = {OURS: partial(ours, strategy="auto"), AT_ONCE: partial(ours, strategy="original")}
    return by_strategy | {name: partial(fill, name) for name in CLASSICAL}


def cases(folders: Sequence[Path], sizes: Sequence[str] = SIZES) -> list[Case]:
    """All of the photos in folders or archives; the same photo always gets the same holes."""
    made = []
    for name, photo, whole in (found for folder in folders for found in photos(folder)):
        for size in sizes:
            image = whole if size == "whole" else resize_square(whole, int(size), "bilinear")
            rng = np.random.default_rng(zlib.crc32(f"{SEED} {name} {size}".encode()))
            made += [Case(photo, size, hole, image, mask_of(rng, hole, *image.shape[:2])) for hole in HOLES]
    return made


def photos(path: Path) -> Iterator[tuple[str, str, Picture]]:
    """Name, photo that it is a part of, and pixels: of each .jpg of a folder, or of an archive's validation pictures.

    Raises:
        UserError: there are none.
    """
    if path.suffix != ".zip":
        if not (files := sorted(path.glob("*.jpg"))):
            raise UserError(f"{path}: holds no photo (.jpg); name a folder of photos")
        for file in files:
            yield file.stem, file.stem, read_rgb(file)
        return
    source = PACKED.read([path])
    split = assign(PACKED, source, None, seed=0, test_ratio=0.1, val_ratio=VAL_RATIO)
    for item in source.items():
        if split.of.get(item.key) == "val":
            yield item.key, item.group, read_rgb(io.BytesIO(item.content), item.key)


def mask_of(rng: np.random.Generator, hole: str, height: int, width: int) -> Mask:
    """(H, W) uint8, 1 = hole."""
    if hole in DRAWN:
        return mask_function(DRAWN[hole])(rng, height, width)
    side = min(height, width) // int(hole[-1])
    mask = np.zeros((height, width), np.uint8)
    top, left = (height - side) // 2, (width - side) // 2
    mask[top : top + side, left : left + side] = 1
    return mask


def measured(fills: Mapping[str, Fill], made: Sequence[Case], measures: Sequence[Measure]) -> list[ByMethod]:
    """Fills each case with each method and scores it."""
    rows = []
    for case in made:
        row = {}
        for name, method in fills.items():
            started = time.process_time()
            filled = method(case.image, case.mask)
            seconds = time.process_time() - started
            pairs = Pairs([case.photo], [filled].__getitem__, [case.image].__getitem__, [case.mask].__getitem__)
            scores = score_images(pairs, measures, 1)
            row[name] = {m.metric.key: float(scores.values[m.metric.key][0]) for m in measures} | {SECONDS: seconds}
        rows.append(row)
    return rows


def report(made: Sequence[Case], rows: Sequence[ByMethod]) -> str:
    """Two tables in Markdown: means, and paired differences."""
    names, keys = list(rows[0]), list(rows[0][OURS])
    sizes = [*dict.fromkeys(case.size for case in made), "all"]
    lines = [f"{len({case.photo for case in made})} photos, {len(made)} holes.", ""]
    lines += table(("size", "hole", "method"), keys)
    for size in sizes:
        for hole in (*HOLES, "all"):
            wanted = [size in (case.size, "all") and hole in (case.hole, "all") for case in made]
            chosen = [row for row, is_wanted in zip(rows, wanted, strict=True) if is_wanted]
            for method in names:
                values = (digits(key, float(np.nanmean([row[method][key] for row in chosen]))) for key in keys)
                lines.append(f"| {size} | {hole} | {method} | {' | '.join(values)} |")
    lines += ["", f"`{OURS}` minus the other, mean over photos with its 95 % interval:", ""]
    lines += table(("size", "against"), [metric.key for metric in METRICS])
    for size in sizes:
        for method in names:
            if method != OURS:
                cells = (difference(made, rows, size, method, metric.key) for metric in METRICS)
                lines.append(f"| {size} | {method} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def table(names: Sequence[str], keys: Sequence[str]) -> list[str]:
    """The two lines that begin a table in Markdown."""
    return [f"| {' | '.join([*names, *map(heading, keys)])} |", "|" + " --- |" * len(names) + " ---: |" * len(keys)]


def difference(made: Sequence[Case], rows: Sequence[ByMethod], size: str, other: str, key: str) -> str:
    """`-0.0123 (-0.0200 to -0.0040)`."""
    of_photo: dict[str, list[tuple[float, float]]] = {}
    for case, row in zip(made, rows, strict=True):
        if size in (case.size, "all"):
            of_photo.setdefault(case.photo, []).append((row[OURS][key], row[other][key]))
    ours, others = np.array([np.nanmean(pairs, axis=0) for pairs in of_photo.values()]).T
    found = paired_difference(ours, others, RESAMPLES, SEED)
    if found is None:  # no border anywhere: no seam
        return ""
    ends = f" ({digits(key, found.interval.low)} to {digits(key, found.interval.high)})" if found.interval else ""
    return digits(key, found.mean) + ends


def heading(key: str) -> str:
    named = {metric.key: f"{metric.heading} {'↓' if metric.better == 'lower' else '↑'}" for metric in METRICS}
    return named.get(key, key)


def digits(key: str, value: float) -> str:
    return f"{value:.2f}" if key in (PSNR.key, SECONDS) else f"{value:.4f}"


def sheet(made: Sequence[Case], fills: Mapping[str, Fill], width_px: int = 264) -> NDArray[np.uint8]:
    """A row for each case: the photo with its hole, each method in order, the truth. Each row has its photo's shape."""
    from PIL import Image

    rows = []
    for case in made:
        holed = np.where(case.mask[..., None] > 0, np.uint8(255), case.image)
        pictures = [holed, *(method(case.image, case.mask) for method in fills.values()), case.image]
        size = (width_px, round(width_px * case.image.shape[0] / case.image.shape[1]))
        cells = [np.asarray(Image.fromarray(p).resize(size, Image.Resampling.LANCZOS)) for p in pictures]
        rows.append(np.concatenate([np.pad(c, ((0, GAP_PX), (0, GAP_PX), (0, 0)), constant_values=255) for c in cells], 1))
    return np.concatenate(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folders", type=Path, nargs="+", help="of photos, or an archive of `pennet pack`")
    parser.add_argument("--model", type=Path, default=WEIGHTS, help="folder of a trained generator")
    parser.add_argument("--sharpness", type=float)
    parser.add_argument("--sizes", nargs="+", choices=SIZES, default=SIZES)
    parser.add_argument("--output", type=Path, help="Markdown file")
    parser.add_argument("--sheet", type=Path, help="JPEG to draw instead: each whole photo with one hole, the kinds in turn")
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    try:
        torch.set_num_threads(arguments.threads)
        fills = methods(arguments.model, arguments.sharpness)
        made = cases(arguments.folders, arguments.sizes)
        if arguments.sheet:
            from PIL import Image

            with replacing(arguments.sheet) as temporary:
                wholes = [case for case in made if case.size == "whole"]
                shown = [case for n, case in enumerate(wholes) if n % len(HOLES) == (n // len(HOLES)) % len(HOLES)]
                Image.fromarray(sheet(shown, fills)).save(temporary, "JPEG", quality=SHEET_QUALITY)
                return
        measures = [Measure(m, m.load(m.variant, torch.device("cpu")) if m.load else None) for m in METRICS]
        table = report(made, measured(fills, made, measures))
        print(table, end="")
        if arguments.output:
            write_text(arguments.output, table)
    except (UserError, OSError) as error:
        sys.exit(f"shipped: {error}")


if __name__ == "__main__":
    main()
