"""How far does a trained model's quality fall as holes and pictures grow?

    python -m benchmarks.hole_sizes models/terrain/pennet/seed-2019 --archive data/embedded/terrain-256.zip --output holes.md

Test pictures of the archive are made, as stage `prepare` makes them, at the side that the model was trained with, at twice
and at four times that side, as far as the archive's pictures are large enough. They get centre squares of 1 to 60 % of the
picture and strokes of each hole-ratio bin. Prints a table of L1 in the hole, PSNR and LPIPS, means over the pictures, for
the model and for methods without training; `--output` writes it with a plot and a sheet of one picture beside it. LPIPS sees
every picture at its own side: compare methods at one side, and a method with itself along the holes.
"""

from __future__ import annotations

import argparse
import io
import math
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import nn

from pennet.atomic import replacing, write_text
from pennet.classical import fill
from pennet.data.pictures.picture_files import read_rgb, save_png
from pennet.data.sources.manifest import open_archive, read_manifest, read_member
from pennet.errors import UserError
from pennet.generator_files import load_generator
from pennet.images import Picture, resize_square
from pennet.inference import inpaint
from pennet.masks.bins import HOLE_BINS
from pennet.masks.irregular import irregular_of_bin
from pennet.masks.mask import Mask
from pennet.metrics.image_scores import Measure, score_images
from pennet.metrics.lpips import LPIPS
from pennet.metrics.pairs import Pairs
from pennet.metrics.pixel import L1_HOLE, PSNR, Images
from pennet.pictures import sheet
from pennet.seeding import choose_device
from pipelines.identity import read_identity
from pipelines.layout import IDENTITY_FILE

FACTORS = (1, 2, 4)
"""Sides of the pictures, in sides of the model's training pictures."""
RATIOS = (0.01, 0.05, 0.1, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6)
CLASSICAL = ("mean", "telea", "patchmatch")
METRICS = (L1_HOLE, PSNR, LPIPS.of("alex"))
PLOTTED = (METRICS[2], METRICS[0])
SEED = 7
BATCH = 8

Fill = Callable[[Picture, Mask], Picture]
"""(image, mask) -> composite."""


class Hole(NamedTuple):
    shape: str
    name: str
    draw: Callable[[int, int], Mask]
    """(number of the picture, its side in pixels) -> mask."""


class Row(NamedTuple):
    """Means over the pictures of one side with one kind of hole."""

    side_px: int
    hole: Hole
    hole_ratio: float
    values: dict[str, dict[str, float]]
    """By method, then by metric."""


def centre_hole(ratio: float, side_px: int) -> Mask:
    """The centre square of a share of the picture; one side may differ by a pixel or two, to meet the share."""
    height = max(1, round(math.sqrt(ratio) * side_px))
    width = max(1, round(ratio * side_px**2 / height))
    top, left = (side_px - height) // 2, (side_px - width) // 2
    mask = np.zeros((side_px, side_px), np.uint8)
    mask[top : top + height, left : left + width] = 1
    return mask


def holes() -> list[Hole]:
    """Centre squares of all ratios, which are alike for all pictures, then strokes of all bins, which are not."""

    def strokes(place: int, index: int, side_px: int) -> Mask:
        return irregular_of_bin(np.random.default_rng([SEED, place, index]), side_px, side_px, HOLE_BINS[place])

    def square(ratio: float, index: int, side_px: int) -> Mask:
        return centre_hole(ratio, side_px)

    squares = [Hole("centre square", f"{ratio:.0%}", partial(square, ratio)) for ratio in RATIOS]
    return squares + [Hole("strokes", hole_bin.name, partial(strokes, place)) for place, hole_bin in enumerate(HOLE_BINS)]


def read_pictures(path: Path, count: int) -> list[Picture]:
    """Test pictures of an archive at their own size: `count` of them, spread evenly over its list.

    Raises:
        UserError: no such archive, a broken one, or one with fewer test pictures.
    """
    with open_archive(path) as archive:
        entries = [entry for entry in read_manifest(archive) if entry.split == "test"]
        if not 1 <= count <= len(entries):
            raise UserError(f"--images: {count}, but {path} has {len(entries)} test pictures; ask for 1 to {len(entries)}")
        chosen = [entries[i * len(entries) // count] for i in range(count)]
        return [read_rgb(io.BytesIO(read_member(archive, entry.file)), entry.file) for entry in chosen]


def trained_side_px(model: Path) -> int:
    """The side of the pictures that a model of this project was trained with.

    Raises:
        UserError: the folder does not say.
    """
    identity = read_identity(model / IDENTITY_FILE) or {}
    if side := identity.get("prepare.image_size_px"):
        return int(side)
    raise UserError(f"{model / IDENTITY_FILE} does not say at what size the model was trained; give it with --size-px")


def fills(generator: nn.Module) -> dict[str, Fill]:
    """What is compared, by its column."""

    def classical(method: str, image: Picture, mask: Mask) -> Picture:
        return np.where(mask[..., None] > 0, fill(method, image, mask), image)

    return {"model": partial(inpaint, generator)} | {method: partial(classical, method) for method in CLASSICAL}


def measure(methods: Mapping[str, Fill], pictures: Mapping[int, Images], device: torch.device) -> list[Row]:
    """Every kind of hole at every side, of pictures (N, S, S, 3) uint8 by their side S; LPIPS runs on the device.

    Raises:
        UserError: a side that LPIPS has no value for, or weights of its network that are not there.
    """
    if (smallest := min(pictures)) < (needed := max(metric.min_side_px for metric in METRICS)):
        raise UserError(f"pictures of {smallest} px are too small for LPIPS, which needs {needed} px; use a larger model")
    measures = [Measure(metric, metric.load(metric.variant, device) if metric.load else None) for metric in METRICS]
    rows = []
    for side_px, real in pictures.items():
        for hole in holes():
            print(f"{side_px} px, {hole.shape} {hole.name}", file=sys.stderr)
            masks = np.stack([hole.draw(index, side_px) for index in range(len(real))])
            values = {}
            for method, filled in methods.items():
                fake = np.stack([filled(image, mask) for image, mask in zip(real, masks, strict=True)])
                names = [str(index) for index in range(len(real))]
                pairs = Pairs(names, fake.__getitem__, real.__getitem__, masks.__getitem__)
                columns = score_images(pairs, measures, BATCH).values
                values[method] = {key: float(column[np.isfinite(column)].mean()) for key, column in columns.items()}
            rows.append(Row(side_px, hole, float(masks.mean()), values))
    return rows


def table(rows: Sequence[Row]) -> str:
    """Markdown: a line for each side and kind of hole."""
    methods = list(rows[0].values)
    columns = [(metric, method) for metric in METRICS for method in methods]
    heads = ["side px", "hole", "hole %", *(f"{metric.title} {metric.arrow}: {method}" for metric, method in columns)]
    lines = [heads, ["---:", "---", *["---:"] * (len(heads) - 2)]]
    for row in rows:
        cells = [metric.text(row.values[method][metric.key]) for metric, method in columns]
        lines.append([str(row.side_px), f"{row.hole.shape} {row.hole.name}", f"{100 * row.hole_ratio:.1f}", *cells])
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def plot(rows: Sequence[Row], path: Path) -> None:
    """LPIPS and L1 in the hole over the hole ratio: a colour for each side, the model drawn through, PatchMatch dashed."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 6.4), layout="constrained")
    shapes = list(dict.fromkeys(row.hole.shape for row in rows))
    grid = figure.subplots(len(shapes), len(PLOTTED), squeeze=False, sharex=True, sharey="col")
    for shape, panels in zip(shapes, grid, strict=True):
        for metric, panel in zip(PLOTTED, panels, strict=True):
            for colour, side_px in enumerate(dict.fromkeys(row.side_px for row in rows)):
                shown = [row for row in rows if (row.side_px, row.hole.shape) == (side_px, shape)]
                ratios = [100 * row.hole_ratio for row in shown]
                for method, style in (("model", "-"), ("patchmatch", "--")):
                    values = [row.values[method][metric.key] for row in shown]
                    panel.plot(ratios, values, style, color=f"C{colour}", marker=".", label=f"{side_px} px, {method}")
            panel.set_title(f"{metric.title} {metric.arrow}, {shape}", fontsize=10)
            panel.grid(alpha=0.3)
    for panel in grid[-1]:
        panel.set_xlabel("hole, % of the picture")
    grid[0, 0].legend(fontsize=7)
    with replacing(path) as temporary:
        figure.savefig(temporary, format="png", dpi=100, metadata={"Software": None})


def growing_holes(filled: Fill, picture: Mapping[int, Picture]) -> Picture:
    """Two rows for each side, holes and results: the truth, then a column for each ratio; all shown equally large."""
    largest = max(picture)
    rows = []
    for side_px, truth in picture.items():
        masks = [centre_hole(ratio, side_px) for ratio in RATIOS]
        masked = [np.where(mask[..., None] > 0, np.uint8(255), truth) for mask in masks]
        for cells in ([truth, *masked], [truth, *(filled(truth, mask) for mask in masks)]):
            factor = largest // side_px
            rows.append([cell.repeat(factor, axis=0).repeat(factor, axis=1) for cell in cells])
    return sheet(rows, ["truth", *(f"{ratio:.0%}" for ratio in RATIOS)])


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("model", type=Path, help="folder with generator.safetensors")
    parser.add_argument("--archive", type=Path, default=Path("data/embedded/terrain-256.zip"), help="the data set's")
    parser.add_argument("--images", type=int, default=24, help="number of test pictures")
    parser.add_argument("--size-px", type=int, help="side that the model was trained with, where its folder does not say")
    parser.add_argument("--output", type=Path, help="Markdown file; NAME.png and NAME-sheet.png are written beside it")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", default="cpu", help="cpu, cuda or cuda:N")
    arguments = parser.parse_args()
    try:
        run(arguments)
    except (UserError, OSError) as error:
        sys.exit(f"hole_sizes: {error}")


def run(arguments: argparse.Namespace) -> None:
    """Measures, prints and writes."""
    device = choose_device(arguments.device)
    torch.set_num_threads(arguments.threads)
    methods = fills(load_generator(arguments.model).to(device))
    trained_px = arguments.size_px or trained_side_px(arguments.model)
    sources = read_pictures(arguments.archive, arguments.images)
    largest = min(min(picture.shape[:2]) for picture in sources)
    sides = [factor * trained_px for factor in FACTORS if factor * trained_px <= largest]
    if not sides:
        raise UserError(f"{arguments.archive}: pictures of {largest} px are smaller than the model's {trained_px} px")
    pictures = {side: np.stack([resize_square(picture, side) for picture in sources]) for side in sides}
    rows = measure(methods, pictures, device)
    head = (
        f"`{arguments.model}`, trained at {trained_px} px; means over {len(sources)} test pictures of `{arguments.archive}`"
    )
    text = f"# Quality by size of hole and picture\n\n{head}.\n\n{table(rows)}"
    print(text)
    if output := arguments.output:
        write_text(output, text)
        plot(rows, output.with_suffix(".png"))
        first = {side: of_side[0] for side, of_side in pictures.items()}
        save_png(output.with_name(f"{output.stem}-sheet.png"), growing_holes(methods["model"], first))


if __name__ == "__main__":
    main()
