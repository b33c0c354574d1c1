"""How much a hole in a video flickers, filled frame by frame and calmed by the frame before, where the truth is known.

    python -m benchmarks.video PHOTO ... --model MODEL [--frames 40] [--strip docs/images/video.png]

Each photo makes four clips of 160 x 160 px with sensor noise of a standard deviation of 3 of 255 and a hole that stays in
place: the camera still; it pans by 1 and by 1.4 px a frame; and, still, the light falls to a half. The first two figures
are mean absolute differences, of 255: of consecutive frames in the hole minus in the ring around it (flicker), and in the
hole from the truth without noise. LPIPS (AlexNet) is of the hole's box with 8 px around it, in every fourth frame. Means
over the photos.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from pennet.data.pictures.picture_files import read_rgb, save_png
from pennet.inpainter import Inpainter
from pennet.metrics import lpips
from pennet.video.flicker import Flicker
from pennet.video.smoothing import Smoother

SIDE, NOISE = 160, 3.0
BOX = slice(60, 100), slice(64, 96)
SEEN = slice(52, 108), slice(56, 104)
CLIPS = {"still": (0.0, 1.0), "pan 1 px": (1.0, 1.0), "pan 1.4 px": (1.4, 1.0), "light falls": (0.0, 0.5)}
"""Pixels a frame, and the light at the end."""

Frame = NDArray[np.uint8]


class Scores(NamedTuple):
    flicker: float
    l1: float
    lpips: float


def frames(photo: Frame, speed: float, light: float, count: int, rng: np.random.Generator) -> Iterator[tuple[Frame, Frame]]:
    """Noisy frames and what they show."""
    image = Image.fromarray(photo)
    for i in range(count):
        left = 20 + speed * i
        box = (left, 20, left + SIDE, 20 + SIDE)
        truth = np.array(image.resize((SIDE, SIDE), Image.Resampling.BILINEAR, box)) * (1 + (light - 1) * i / (count - 1))
        noisy = truth + rng.normal(0, NOISE, truth.shape)
        yield noisy.round().clip(0, 255).astype(np.uint8), truth.round().astype(np.uint8)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", nargs="+", type=Path, metavar="PHOTO")
    parser.add_argument("--model", default="default")
    parser.add_argument("--frames", type=int, default=40)
    parser.add_argument("--strip", type=Path, help="Writes frames of the first photo's fast pan here (PNG).")
    arguments = parser.parse_args()
    inpainter, network = Inpainter(arguments.model), lpips.load("alex", torch.device("cpu"))
    hole = np.zeros((SIDE, SIDE), bool)
    hole[BOX] = True
    print("| clip | frames | flicker | L1 | LPIPS |\n|---|---|---:|---:|---:|")
    for name, (speed, light) in CLIPS.items():
        scores: dict[str, list[Scores]] = {"each by itself": [], "calmed": []}
        truth_flicker = []
        for number, path in enumerate(arguments.photos):
            photo = read_rgb(path)
            needed = 40 + SIDE + int(2 * arguments.frames)
            factor = max(1, min(photo.shape[:2]) // needed)
            photo = np.array(Image.fromarray(photo).reduce(factor))
            rng = np.random.default_rng(number)
            smoother, flickers = Smoother(), {key: Flicker() for key in [*scores, "truth"]}
            errors: dict[str, list[tuple[float, float]]] = {key: [] for key in scores}
            strip = []
            for i, (frame, truth) in enumerate(frames(photo, speed, light, arguments.frames, rng)):
                painted = inpainter.fill(frame, hole.astype(np.uint8)).image.astype(np.uint8)
                results = {"each by itself": painted, "calmed": smoother.step(frame, hole, painted)}
                flickers["truth"].add(frame, hole)
                for key, result in results.items():
                    flickers[key].add(result, hole)
                    apart = np.abs(result[hole].astype(float) - truth[hole]).mean()
                    distance = float(network.score(result[SEEN][None], truth[SEEN][None])[0]) if i % 4 == 3 else np.nan
                    errors[key].append((apart, distance))
                if i % (arguments.frames // 5) == arguments.frames // 5 - 1:
                    hidden = np.where(hole[..., None], np.uint8(255), frame)
                    strip.append(np.concatenate([hidden, *results.values(), truth]))
            truth_flicker.append(flickers["truth"].value or 0.0)
            for key in scores:
                l1, distance = np.nanmean(errors[key], axis=0)
                scores[key].append(Scores(flickers[key].value or 0.0, l1, distance))
            if arguments.strip and number == 0 and name == "pan 1.4 px":
                save_png(arguments.strip, np.concatenate(strip, axis=1))
        print(f"| {name} | the truth, noisy | {np.mean(truth_flicker):+.2f} | | |")
        for key, values in scores.items():
            flicker, l1, distance = np.mean(values, axis=0)
            print(f"| {name} | {key} | {flicker:+.2f} | {l1:.2f} | {distance:.3f} |", flush=True)


if __name__ == "__main__":
    main()
