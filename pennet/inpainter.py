"""Any photo, any size, any method: what the command line, Python, the registered model and the web page share."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pennet.errors import UserError

if TYPE_CHECKING:
    import torch
    from torch import nn

    from pennet.inpainting.windows import Sight, Task

Strategy = Literal["auto", "original", "crop", "resize"]
STRATEGIES: tuple[Strategy, ...] = ("auto", "original", "crop", "resize")
DEFAULT_MODEL = "default"
"""The small generator that is shipped with the package."""
ASSUMED_PX = 256
"""Where a model does not say on what size it was trained; for methods without training, the least context of a hole."""
MUCH_SMALLER = 8
"""From this factor on a person is told that few details are to be expected."""


class Window(NamedTuple):
    """One hole, or several close together, with its context: what is looked at at once."""

    top: int
    left: int
    height: int
    width: int
    factor: int
    """How many pixels of the photo, along a side, are one of what the network sees; a power of two."""


class Plan(NamedTuple):
    """What filling a hole will do, before anything is done."""

    strategy: Strategy
    windows: tuple[Window, ...]
    memory_bytes: int
    """Estimated peak, beside what Python and torch take."""
    words: tuple[str, ...]
    """What a person should know, each a sentence: a model far from the size that it was trained for, ..."""


class Filled(NamedTuple):
    """A filled photo."""

    image: NDArray[np.uint8] | NDArray[np.uint16]
    """(H, W, 3), of the type that came in; known pixels bit for bit, but within `feather_px` of a hole."""
    plan: Plan
    seconds: float


class Inpainter:
    """Fills holes with one model.

    Args:
        model: `default`; the name of a method that needs no training (`patchmatch`, `telea`, ...); a folder or file of a
            trained generator; a checkpoint of the authors' release; `models:/NAME@alias`; or a generator.
        device: auto, cpu, cuda or cuda:N.

    Raises:
        UserError: no such model, or one that cannot be read; no such device.
    """

    name: str
    trained_size_px: int | None
    """Side of the pictures that the model was trained on; None if it needs no training or does not say."""
    generator: nn.Module | None
    """What paints; None for a method that needs no training."""

    def __init__(self, model: str | Path | nn.Module = DEFAULT_MODEL, device: str | torch.device = "auto"):
        from pennet.inpainting.models import find_model

        found = find_model(model)
        self.name, self.trained_size_px, self.generator = found.name, found.trained_size_px, found.generator
        if device != "auto" or self.generator is not None:  # a method without training needs none, but wrong is wrong
            from pennet.inpainting.devices import asked_device

            chosen = asked_device(device, "device") if isinstance(device, str) else device
            if self.generator is not None:
                self.generator.to(chosen)

    def plan(self, mask: NDArray[np.uint8], strategy: Strategy = "auto") -> Plan:
        """What `fill` would do with a mask (H, W), 1 (or 255) = hole.

        Raises:
            UserError: a mask that `fill` refuses, or the memory does not suffice; names the strategy that does.
        """
        return self._planned(_checked_mask(mask), strategy)[0]

    def fill(
        self,
        image: NDArray[np.uint8] | NDArray[np.uint16],
        mask: NDArray[np.uint8],
        strategy: Strategy = "auto",
        sharpness: float | None = None,
        feather_px: int = 0,
        progress: Callable[[int, int], None] | None = None,
    ) -> Filled:
        """Fills the hole.

        Args:
            image: (H, W, 3) uint8 or uint16, RGB; what is in the hole is never seen.
            mask: (H, W), 1 (or 255) = hole, 0 = known.
            strategy: `original`, the whole photo at once; `crop`, each hole with its context; `resize`, each hole at the
                size that the model was trained for, enlarged; `auto`, as `resize`, with details carried over by attention.
                Methods without training know no size: with them `resize` and `auto` are `crop`.
            sharpness: see `pennet.inference.predict`.
            feather_px: a ring of this width around the hole is painted with it, and fades into what was known there; the
                model does not see what stood in the ring. 0 to 64.
            progress: called with (windows done, all windows).

        Raises:
            UserError: shapes or types that do not fit, no hole, nothing known, too little memory.
        """
        from pennet.inpainting.feathering import check_feather
        from pennet.inpainting.memory import too_little_at_last
        from pennet.photos.discs import feather_weights

        begin = time.perf_counter()
        hole = _checked_mask(mask)
        _check_image(image, hole)
        share = feather_weights(hole, feather) if (feather := check_feather(feather_px)) else None
        if share is not None:
            hole = (share > 0).astype(np.uint8)
            if hole.all():
                raise UserError(f"feather: with {feather} px around the hole nothing is left that is known; choose less")
        plan, tasks = self._planned(hole, strategy)
        filled, unknown = image.copy(), hole.copy()
        for done, task in enumerate(tasks):
            place = task.window[:2], task.window[2:4]
            seen = tuple(slice(start, start + side) for start, side in zip(*place, strict=True))
            with too_little_at_last(plan, hole.shape):
                painted = self._painted(filled[seen], unknown[seen], task.window.factor, strategy, sharpness)
            for box in task.boxes:
                inner = tuple(
                    slice(outer.start - whole.start, outer.stop - whole.start)
                    for outer, whole in zip(box.place, seen, strict=True)
                )
                own = hole[box.place][..., None] > 0
                filled[box.place] = np.where(own, painted[inner], filled[box.place])
                if task.is_part:  # its neighbours see what was painted here
                    unknown[box.place] = 0
            if progress:
                progress(done + 1, len(tasks))
        if share is not None:
            ring = (share > 0) & (share < 1)
            mixed = share[ring][:, None] * filled[ring] + (1 - share[ring])[:, None] * image[ring]
            filled[ring] = np.round(mixed).astype(image.dtype)
        return Filled(filled, plan, time.perf_counter() - begin)

    def _painted(
        self,
        image: NDArray[np.uint8] | NDArray[np.uint16],
        mask: NDArray[np.uint8],
        factor: int,
        strategy: Strategy,
        sharpness: float | None,
    ) -> NDArray[np.uint8] | NDArray[np.uint16]:
        from pennet.inpainting.painting import paint, paint_classically

        if self.generator is not None:
            return paint(self.generator, image, mask, factor, strategy == "auto", sharpness)
        if sharpness is not None:
            raise UserError(f"sharpness: got {sharpness!r}, and {self.name} has no attention to sharpen; leave it out")
        return paint_classically(self.name, image, mask)

    def _planned(self, mask: NDArray[np.uint8], strategy: Strategy) -> tuple[Plan, list[Task]]:
        from pennet.inpainting.memory import check_fits, peak_bytes

        if strategy not in STRATEGIES:
            raise UserError(f"strategy: expected one of {', '.join(STRATEGIES)}, got {strategy!r}")
        tasks = self._tasks(mask, strategy)
        windows = tuple(task.window for task in tasks)
        needed = peak_bytes(self.generator, mask, windows, strategy == "auto", self.name)
        plan = Plan(strategy, windows, needed, self._words(mask, strategy, tasks))
        check_fits(plan, mask.shape, self.generator, lambda other: self._needs(mask, other))
        return plan, tasks

    def _tasks(self, mask: NDArray[np.uint8], strategy: Strategy) -> list[Task]:
        from pennet.inpainting.holes import Box
        from pennet.inpainting.windows import Task, lay_out

        if strategy == "original":
            height, width = mask.shape
            return [Task((Box(0, 0, height, width),), Window(0, 0, height, width, 1), is_part=False)]
        return lay_out(mask, self._sight(), own_size=strategy == "crop" or self.generator is None)

    def _needs(self, mask: NDArray[np.uint8], strategy: Strategy) -> int:
        from pennet.inpainting.memory import peak_bytes

        windows = [task.window for task in self._tasks(mask, strategy)]
        return peak_bytes(self.generator, mask, windows, strategy == "auto", self.name)

    def _sight(self) -> Sight:
        from pennet.inpainting.windows import Sight

        unit = 1 if self.generator is None else int(self.generator.unit_px)  # type: ignore[arg-type]
        return Sight(self.trained_size_px or ASSUMED_PX, unit)

    def _words(self, mask: NDArray[np.uint8], strategy: Strategy, tasks: list[Task]) -> tuple[str, ...]:
        from pennet.inpainting.holes import find_boxes
        from pennet.inpainting.windows import needed_factor

        if self.generator is None:
            return ()
        words = []
        if self.trained_size_px is None:
            words.append(f"{self.name} does not say on what size it was trained: {ASSUMED_PX} px are taken.")
        trained = self.trained_size_px or ASSUMED_PX
        if strategy in ("original", "crop"):
            needed = max(needed_factor(mask, box, trained) for box in find_boxes(mask, max(1, trained // 8)))
            height, width = mask.shape
            if needed > 1:
                words.append(
                    f"{self.name} learnt from pictures of {trained} px, and a hole of this photo of {width}x{height} px is"
                    f" {needed} times too large for it: use the strategy auto or resize, which show it the hole smaller."
                )
            elif strategy == "original" and max(mask.shape) > 2 * trained:
                words.append(
                    f"{self.name} learnt from pictures of {trained} px, and sees this photo of {width}x{height} px whole:"
                    " use the strategy auto or crop, which show it each hole with as much around it as it knows."
                )
        smallest = max(task.window.factor for task in tasks)
        if smallest >= MUCH_SMALLER:
            words.append(
                f"A hole is large for a model that learnt from pictures of {trained} px: it is painted {smallest} times"
                " smaller than the photo, so that few details are to be expected."
            )
        return tuple(words)


def _checked_mask(mask: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(H, W) in {0, 1}."""
    if mask.ndim != 2 or mask.dtype not in (np.uint8, np.bool_):
        raise UserError(f"mask: expected uint8 (H, W), 1 (or 255) = hole, got {mask.dtype} {mask.shape}")
    if not mask.size:
        raise UserError(f"mask: has no pixels, got {mask.shape}")
    mask = mask.view(np.uint8)
    counts = np.bincount(mask.ravel(), minlength=256)
    values = np.flatnonzero(counts).tolist()
    if not (set(values) <= {0, 1} or set(values) <= {0, 255}):
        raise UserError(f"mask: expected 0 and 1 (or 0 and 255), 1 = hole, got {values[:5]}")
    if not counts[0]:
        raise UserError("mask: no pixel is known, there is nothing to inpaint from")
    if counts[0] == mask.size:
        raise UserError("mask: no hole; 1 marks what is to be filled")
    return (mask > 0).view(np.uint8)


def _check_image(image: NDArray[np.uint8] | NDArray[np.uint16], mask: NDArray[np.uint8]) -> None:
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype not in (np.uint8, np.uint16):
        raise UserError(f"image: expected uint8 or uint16 (H, W, 3), got {image.dtype} {image.shape}")
    if image.shape[:2] != mask.shape:
        raise UserError(f"mask: expected shape {image.shape[:2]} like the image, got {mask.shape}")
