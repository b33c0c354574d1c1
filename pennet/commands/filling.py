"""Fills the photo of one job, or says what filling it would do."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pennet.commands.jobs import Job
from pennet.data.sources.search import shown
from pennet.errors import UserError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import nn

    from pennet.inpainter import Inpainter, Plan, Strategy
    from pennet.photos.photo import Photo, Pixels

Progress = Callable[[int, int], None]
"""(windows done, all windows)."""


@dataclass(frozen=True)
class Settings:
    """What holds for all photos of a command."""

    strategy: Strategy = "auto"
    sharpness: float | None = None
    dilate_px: int = 0
    feather_px: int = 0
    invert_mask: bool = False
    resize_mask: bool = False
    dry_run: bool = False
    sources: Path | None = None
    """Where to draw what the pixels of the hole were copied from."""


@dataclass(frozen=True)
class Outcome:
    """What became of a photo."""

    job: Job
    width: int | None = None
    height: int | None = None
    hole_ratio: float | None = None
    plan: Plan | None = None
    seconds: float | None = None
    """From the photo's file to the result's; None if there is none."""
    words: tuple[str, ...] = ()
    error: str | None = None

    def as_json(self) -> dict[str, Any]:
        """What `--json` prints: numbers and texts alone."""
        plan = self.plan
        return {
            "image": shown(self.job.photo),
            "mask": None if self.job.mask is None else shown(self.job.mask),
            "output": shown(self.job.output),
            "width": self.width,
            "height": self.height,
            "hole_ratio": self.hole_ratio,
            "strategy": plan.strategy if plan else None,
            "windows": [window._asdict() for window in plan.windows] if plan else None,
            "memory_bytes": plan.memory_bytes if plan else None,
            "seconds": self.seconds,
            "words": list(self.words),
            "error": self.error,
        }


def fill_photo(job: Job, inpainter: Inpainter, settings: Settings, progress: Progress | None = None) -> Outcome:
    """Reads, fills and writes one photo; with `dry_run` all but that.

    Raises:
        UserError, OSError: a photo or mask that cannot be used, or a result that cannot be written; nothing was.
    """
    from pennet.inference import check_copies_pixels
    from pennet.photos.discs import dilated
    from pennet.photos.photo import opaque_in
    from pennet.photos.reading import read_photo
    from pennet.photos.writing import check_writable, write_photo

    start = time.perf_counter()
    photo = read_photo(job.photo)
    mask, words = _hole(photo, job.mask, settings)
    photo = opaque_in(photo, mask)
    check_writable(job.output, photo)
    plan = inpainter.plan(mask, settings.strategy)
    height, width = mask.shape
    words = [*photo.words, *words, *plan.words]
    outcome = Outcome(job, width, height, float(mask.mean()), plan, words=_each_once(words))
    if settings.dry_run:
        return outcome
    if settings.sources:
        check_copies_pixels(inpainter.generator)  # type: ignore[arg-type]  # None, of a method, copies none
    filled = inpainter.fill(photo.pixels, mask, settings.strategy, settings.sharpness, settings.feather_px, progress)
    words += write_photo(job.output, photo, filled.image)
    if settings.sources:
        assert inpainter.generator is not None
        painted = dilated(mask, settings.feather_px)  # the ring that fades is painted, too
        _draw_sources(settings.sources, inpainter.generator, photo.pixels, painted, filled.image, settings.sharpness)
    return replace(outcome, seconds=time.perf_counter() - start, words=_each_once(words))


def _hole(photo: Photo, mask: Path | None, settings: Settings) -> tuple[NDArray[np.uint8], list[str]]:
    """What is to be filled, (H, W) in {0, 1}, and words about it."""
    from pennet.photos.holes import dilated, hole_from_alpha, read_hole

    if mask is None:
        hole, words = hole_from_alpha(photo)
    else:
        height, width = photo.pixels.shape[:2]
        hole, words = read_hole(mask, height, width, invert=settings.invert_mask, resize=settings.resize_mask)
    if settings.dilate_px:
        hole = dilated(hole, settings.dilate_px)
        if hole.all():
            raise UserError(f"{shown(photo.path)}: --dilate {settings.dilate_px} leaves no known pixel; choose less")
    return hole, list(words)


def _each_once(words: list[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(words))


def _draw_sources(
    path: Path, generator: nn.Module, image: Pixels, mask: NDArray[np.uint8], filled: Pixels, sharpness: float | None
) -> None:
    from pennet.data.pictures.picture_files import save_png
    from pennet.inference import find_sources
    from pennet.photos.photo import eight_bits
    from pennet.source_figure import source_figure

    image, filled = eight_bits(image), eight_bits(filled)
    places = find_sources(generator, image, mask, sharpness)
    save_png(path, source_figure(image, mask, filled, places))
