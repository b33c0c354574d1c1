"""What is in the hole of a large photo: attention carried up, beside an enlarged prediction and classical methods.

    python -m benchmarks.high_resolution --model models/terrain/pennet/seed-2019
    python -m benchmarks.high_resolution --model ... --photos FOLDER --sheet sheet.jpg

Holes are drawn into photos with known content: a blob, strokes and the outline of a thing in turn. The model sees the photo
reduced by a power of two. Prints, for each photo and as means, of the hole and 32 pixels around it at the photo's own size:
LPIPS; the gradients' energy in the hole, in that of the truth (1 = as sharp); the seam; L1; and the processor's seconds.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from torch import nn

from pennet import classical
from pennet.errors import UserError
from pennet.generator_files import load_generator
from pennet.high_resolution import carry_up
from pennet.images import to_float, to_uint8
from pennet.inference import predict, predict_sources
from pennet.metrics.lpips import load as load_lpips
from pennet.metrics.seam import seam

Picture = NDArray[np.uint8]

AROUND_PX = 32
SEEN_PX = 96
"""The model sees at least so much of the shorter side."""
SHAPES = ("blob", "strokes", "thing")


def default_photos() -> list[Path]:
    """Those that scikit-image brings along."""
    import skimage

    folder = Path(skimage.__file__).parent / "data"
    return [folder / name for name in ("coffee.png", "chelsea.png", "astronaut.png", "rocket.jpg")]


def photos_in(folder: Path) -> list[Path]:
    """
    Raises:
        UserError: there are none.
    """
    found = sorted(path for path in folder.rglob("*") if path.suffix.lower() in (".jpg", ".jpeg", ".png"))
    if not found:
        raise UserError(f"--photos: {folder} has no JPEG or PNG")
    return found


def draw_hole(shape: str, rng: np.random.Generator, height: int, width: int) -> Picture:
    """A hole in the middle half of a picture, up to two fifths of its shorter side long: (H, W), 1 = hole."""
    canvas = Image.new("L", (width, height))
    draw, side = ImageDraw.Draw(canvas), min(height, width)
    x, y = rng.uniform(0.35, 0.65) * width, rng.uniform(0.35, 0.65) * height
    if shape == "strokes":
        for _ in range(3):
            points = rng.uniform(-0.25, 0.25, (4, 2)) * side + [x, y]
            draw.line([tuple(point) for point in points], fill=1, width=side // 30, joint="curve")
    else:
        angles = np.linspace(0, 2 * np.pi, 72, endpoint=False)
        waves = sum(rng.uniform(-0.25, 0.25) / k * np.cos(k * angles + rng.uniform(0, 6)) for k in (2, 3, 4))
        stretch = 1.0 if shape == "blob" else 2.0
        radius = side * rng.uniform(0.1, 0.18) * (1 + waves)
        outline = np.stack([x + radius * np.cos(angles) / stretch, y + radius * np.sin(angles) * stretch**0.5], axis=1)
        draw.polygon(outline.ravel().tolist(), fill=1)
    return np.array(canvas, np.uint8)


def read(path: Path, factor_of: Callable[[int], int]) -> tuple[Picture, int]:
    """A photo, cut to whole cells, and the factor by which the model sees it reduced."""
    picture = np.array(Image.open(path).convert("RGB"))
    factor = factor_of(min(picture.shape[:2]))
    height, width = (side // factor * factor for side in picture.shape[:2])
    return picture[:height, :width], factor


def power_of_two(side_px: int) -> int:
    return 2 ** max(1, int(np.log2(side_px / SEEN_PX)))


def fillings(
    generator: nn.Module, picture: Picture, mask: Picture, factor: int, original: bool
) -> dict[str, tuple[Picture, float]]:
    """What each way makes of a photo's hole, and the processor's seconds."""
    image, hole = to_float(picture), torch.from_numpy(mask).float()[None]
    cells = F.max_pool2d(hole, factor)[None]
    small = F.avg_pool2d(torch.where(hole > 0, 0.0, image), factor)[None]

    def composite(prediction: torch.Tensor) -> Picture:
        return to_uint8(torch.where(hole > 0, prediction, image))

    def resize() -> Picture:
        prediction = predict(generator, small, cells)
        return composite(F.interpolate(prediction, scale_factor=factor, mode="bicubic", align_corners=False)[0])

    def carried() -> Picture:
        sources = predict_sources(generator, small, cells)[0] if getattr(generator, "copies_pixels", False) else None
        return composite(carry_up(image, hole, predict(generator, small, cells)[0], sources))

    def whole() -> Picture:
        return composite(predict(generator, image[None], hole[None])[0])

    ways: dict[str, Callable[[], Picture]] = {"carried up": carried, "enlarged": resize}
    if original:
        ways["at full size"] = whole
    for method in ("patchmatch", "telea"):
        ways[method] = partial(classical.fill, method, picture, mask)
    found = {}
    for name, way in ways.items():
        start = time.process_time()
        found[name] = np.where(mask[..., None] > 0, way(), picture), 0.0
        found[name] = found[name][0], time.process_time() - start
    return found


def around(mask: Picture, px: int) -> tuple[slice, slice]:
    lines, columns = np.nonzero(mask)
    return (
        slice(max(0, lines.min() - px), lines.max() + px + 1),
        slice(max(0, columns.min() - px), columns.max() + px + 1),
    )


def energy(picture: Picture, mask: Picture) -> float:
    """Mean absolute difference of neighbouring pixels in the hole."""
    values = picture.astype(np.float64)
    steps = np.abs(np.diff(values, axis=0))[:, :-1] + np.abs(np.diff(values, axis=1))[:-1]
    return float(steps[mask[:-1, :-1] > 0].mean())


def scores(fake: Picture, real: Picture, mask: Picture, network: nn.Module) -> list[float]:
    part = around(mask, AROUND_PX)
    fake, real, mask = fake[part], real[part], mask[part]
    l1 = np.abs(fake[mask > 0].astype(np.float64) - real[mask > 0]).mean() / 255
    return [
        float(network.score(fake[None], real[None])[0]),  # type: ignore[operator]
        energy(fake, mask) / max(energy(real, mask), 1e-3),
        float(seam(fake[None], real[None], mask[None])[0]),
        float(l1),
    ]


def sheet(rows: list[tuple[Picture, Picture, dict[str, tuple[Picture, float]]]], path: Path, side_px: int = 300) -> None:
    """Saves the holes' surroundings in rows: the hole, the truth, and every way."""
    lines = []
    for picture, mask, found in rows:
        part = around(mask, 2 * AROUND_PX)
        holed = np.where(mask[..., None] > 0, 255, picture).astype(np.uint8)
        shown = [holed, picture, *(filled for filled, _ in found.values())]
        tiles = []
        for tile in shown:
            image = Image.fromarray(tile[part])
            image.thumbnail((side_px, side_px), Image.Resampling.LANCZOS)
            canvas = Image.new("RGB", (side_px + 4, side_px + 4), "white")
            canvas.paste(image, ((side_px - image.width) // 2, (side_px - image.height) // 2))
            tiles.append(np.array(canvas))
        lines.append(np.concatenate(tiles, axis=1))
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.concatenate(lines)).save(path, quality=80)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--model", type=Path, required=True, help="folder of a trained generator")
    parser.add_argument("--photos", type=Path, help="folder; by default those of scikit-image")
    parser.add_argument("--seed", type=int, default=0, help="of the holes")
    parser.add_argument("--original", action="store_true", help="run the network at the photo's size too")
    parser.add_argument("--sheet", type=Path, help="save what is seen")
    arguments = parser.parse_args()
    try:
        generator = load_generator(arguments.model)
        paths = photos_in(arguments.photos) if arguments.photos else default_photos()
        network = load_lpips("alex", torch.device("cpu"))
        table: dict[str, list[list[float]]] = {}
        rows = []
        for index, path in enumerate(paths):
            picture, factor = read(path, power_of_two)
            shape, rng = SHAPES[index % len(SHAPES)], np.random.default_rng([arguments.seed, index])
            mask = draw_hole(shape, rng, *picture.shape[:2])
            found = fillings(generator, picture, mask, factor, arguments.original)
            height, width = picture.shape[:2]
            print(f"\n{path.parent.name}/{path.name}: {height} x {width} px, {shape} of {mask.sum():,} px, factor {factor}")
            for name, (filled, seconds) in found.items():
                row = [*scores(filled, picture, mask, network), seconds]
                table.setdefault(name, []).append(row)
                print(f"| {name} | " + " | ".join(f"{v:.4f}" for v in row[:4]) + f" | {seconds:.1f} |", flush=True)
            rows.append((picture, mask, found))
        print(f"\nmeans of {len(paths)}\n| | LPIPS | energy | seam | L1 | s |\n|---|---|---|---|---|---|")
        for name, values in table.items():
            mean = np.mean(values, axis=0)
            print(f"| {name} | " + " | ".join(f"{v:.4f}" for v in mean[:4]) + f" | {mean[4]:.1f} |")
        if arguments.sheet:
            sheet(rows, arguments.sheet)
    except UserError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
