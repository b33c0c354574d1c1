"""How much a hole in a video flickers, filled in several ways, where the truth is known.

    python -m benchmarks.video PHOTO ... [--model default] [--frames 25] [--clips still ...] [--strip docs/video.png]

Each photo makes five clips of 160 x 160 px with sensor noise of a standard deviation of 3 of 255 and a hole that stays in
place: the camera still; still with noise of 10; it pans by 1 and by 1.4 px a frame; and, still, the light falls to a half.
Flicker and L1 are mean absolute differences, of 255: of consecutive frames in the hole minus in the ring around it, and in
the hole from the truth without noise. LPIPS (AlexNet) is of the hole's box with 8 px around it, in every fourth frame.
Changed is the share of the finest attention's cells that take another source than in the frame before. Means over the
photos; seconds are those of a frame.
"""

from __future__ import annotations

import argparse
import time
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
from pennet.video.attention_memory import BONUS, AttentionMemory
from pennet.video.flicker import Flicker
from pennet.video.motion import Surroundings
from pennet.video.smoothing import KEPT, Smoother

SIDE = 160
BOX = slice(60, 100), slice(64, 96)
SEEN = slice(52, 108), slice(56, 104)
SHOWN = slice(44, 116), slice(44, 116)


class Clip(NamedTuple):
    speed: float
    """Pixels a frame."""
    light: float
    """At the end."""
    noise: float


CLIPS = {
    "still": Clip(0.0, 1.0, 3.0),
    "still, noisy": Clip(0.0, 1.0, 10.0),
    "pan 1 px": Clip(1.0, 1.0, 3.0),
    "pan 1.4 px": Clip(1.4, 1.0, 3.0),
    "light falls": Clip(0.0, 0.5, 3.0),
}

Frame = NDArray[np.uint8]


class Way:
    """One way to fill a clip: with or without memory; and what is kept of the frame before, None of what was seen either."""

    def __init__(self, inpainter: Inpainter, bonus: float, kept: float | None):
        self.surroundings, self.memory = Surroundings(), AttentionMemory(inpainter, bonus=bonus)
        self.smoother, self.kept = None if kept is None else Smoother(), kept or 0.0
        self.flicker, self.seconds = Flicker(), 0.0
        self.errors: list[tuple[float, float]] = []
        self.changed, self.asked = 0, 0

    def fill(self, frame: Frame, hole: NDArray[np.bool_]) -> Frame:
        begin = time.perf_counter()
        motion = self.surroundings.step(frame, hole)
        taken, left = self.smoother.take(frame, hole, motion) if self.smoother else (frame, hole)
        filled = self.memory.fill(taken, left, motion)
        if self.smoother:
            filled = self.smoother.step(taken, left, filled, motion, self.kept)
        self.seconds += time.perf_counter() - begin
        for choices in self.memory.choices:
            self.changed, self.asked = self.changed + choices[-1].changed, self.asked + choices[-1].asked
        self.flicker.add(filled, hole)
        return filled

    def scores(self) -> list[float]:
        l1, distance = np.nanmean(self.errors, axis=0)
        return [self.flicker.value or 0.0, l1, distance, self.changed / max(1, self.asked), self.seconds / len(self.errors)]


WAYS: dict[str, tuple[float, float | None]] = {
    "each by itself": (0.0, None),
    "attention remembers": (BONUS, None),
    "carried along": (0.0, KEPT),
    "seen is taken": (0.0, 0.0),
    "remembers, seen is taken": (BONUS, 0.0),
    "remembers, carried along": (BONUS, KEPT),
}


def frames(photo: Frame, clip: Clip, count: int, rng: np.random.Generator) -> Iterator[tuple[Frame, Frame]]:
    """Noisy frames and what they show."""
    image = Image.fromarray(photo)
    for i in range(count):
        left = 20 + clip.speed * i
        box = (left, 20, left + SIDE, 20 + SIDE)
        light = 1 + (clip.light - 1) * i / (count - 1)
        truth = np.array(image.resize((SIDE, SIDE), Image.Resampling.BILINEAR, box)) * light
        noisy = truth + rng.normal(0, clip.noise, truth.shape)
        yield noisy.round().clip(0, 255).astype(np.uint8), truth.round().astype(np.uint8)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", nargs="+", type=Path, metavar="PHOTO")
    parser.add_argument("--model", default="default")
    parser.add_argument("--frames", type=int, default=25)
    parser.add_argument("--clips", nargs="+", default=list(CLIPS), choices=CLIPS)
    parser.add_argument("--strip", type=Path, help="Writes frames of the first photo's last clip here (PNG).")
    arguments = parser.parse_args()
    inpainter, network = Inpainter(arguments.model), lpips.load("alex", torch.device("cpu"))
    hole = np.zeros((SIDE, SIDE), bool)
    hole[BOX] = True
    print("| clip | frames | flicker | L1 | LPIPS | changed | seconds |\n|---|---|---:|---:|---:|---:|---:|")
    for name in arguments.clips:
        # Where the camera stands still, nothing of what the hole hides is ever seen.
        told = [key for key, (_, kept) in WAYS.items() if kept != 0.0 or CLIPS[name].speed]
        scores: dict[str, list[list[float]]] = {key: [] for key in told}
        truth_flicker = []
        for number, path in enumerate(arguments.photos):
            photo = read_rgb(path)
            needed = 40 + SIDE + int(2 * arguments.frames)
            photo = np.array(Image.fromarray(photo).reduce(max(1, min(photo.shape[:2]) // needed)))
            rng = np.random.default_rng(number)
            ways = {key: Way(inpainter, *WAYS[key]) for key in told}
            of_truth, strip = Flicker(), []
            for i, (frame, truth) in enumerate(frames(photo, CLIPS[name], arguments.frames, rng)):
                results = {key: way.fill(frame, hole) for key, way in ways.items()}
                of_truth.add(frame, hole)
                for key, result in results.items():
                    apart = np.abs(result[hole].astype(float) - truth[hole]).mean()
                    distance = float(network.score(result[SEEN][None], truth[SEEN][None])[0]) if i % 4 == 3 else np.nan
                    ways[key].errors.append((apart, distance))
                if i % (arguments.frames // 5) == arguments.frames // 5 - 1:
                    hidden = np.where(hole[..., None], np.uint8(255), frame)
                    strip.append(np.concatenate([shown[SHOWN] for shown in (hidden, *results.values(), truth)]))
            truth_flicker.append(of_truth.value or 0.0)
            for key, way in ways.items():
                scores[key].append(way.scores())
            if arguments.strip and number == 0 and name == arguments.clips[-1]:
                save_png(arguments.strip, np.concatenate(strip, axis=1).repeat(2, axis=0).repeat(2, axis=1))
        print(f"| {name} | the truth, noisy | {np.mean(truth_flicker):+.2f} | | | | |")
        for key, values in scores.items():
            flicker, l1, distance, changed, seconds = np.mean(values, axis=0)
            print(
                f"| {name} | {key} | {flicker:+.2f} | {l1:.2f} | {distance:.3f} | {100 * changed:.0f} % | {seconds:.2f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
