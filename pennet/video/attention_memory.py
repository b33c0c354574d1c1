"""What attention chose in the frame before: a source is given up only for one that is clearly more alike.

Attention decides anew for every frame, and between two sources that are nearly as alike noise decides: the choice jumps, and
the hole flickers. Here every query remembers how far away the key was that had most of its mass. In the next frame query and
key have moved together, as the hole's surroundings did, and that key's score is raised by `BONUS` before the softmax. What
is copied is of the frame itself, with its light and its grain.

Source: ours; hysteresis, as of Schmitt, A Thermionic Trigger, 1938, in the softmax of attention.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pennet.inpainter import Inpainter, Window
from pennet.video.motion import LEAST_SHARE, Frame, Mask, Motion, moved

BONUS = 0.03
"""How much less alike, in units of the affinity, a remembered key may be than another one. Of pictures, that is a share of
the variance of what is known."""


class Choices:
    """What each cell of one attention's map took: (h, w).

    Attributes:
        steps: (h, w, 2), how many lines and columns from the cell its source lies; they stay when both move.
        made: (h, w), whether the cell took anything.
        rest: (2,), by how much less than a cell what is remembered has moved since it was chosen.
        changed, asked: how many cells took another source than the remembered one, of how many that remembered one.
    """

    def __init__(self, height: int, width: int):
        self.steps = np.zeros((height, width, 2), np.int64)
        self.made = np.zeros((height, width), bool)
        self.rest = np.zeros(2)
        self.changed = self.asked = 0

    def move(self, cells: NDArray[np.floating]) -> None:
        """Moves what is remembered by lines and columns; by whole ones, and what is left the next time."""
        self.rest = self.rest + cells
        whole = np.round(self.rest).astype(int)
        self.rest = self.rest - whole
        if whole.any():
            shift = int(whole[0]), int(whole[1])
            self.steps, self.made = moved(self.steps, shift), moved(self.made, shift)

    def source(self, cells: NDArray[np.int64]) -> NDArray[np.int64]:
        """The cells that were taken there, as places in the flattened map; -1 for none: (n,) -> (n,)."""
        height, width = self.made.shape
        line, column = np.divmod(cells, width)
        there = self.steps[line, column] + np.stack([line, column], axis=1)
        inside = self.made[line, column] & ((there >= 0) & (there < (height, width))).all(axis=1)
        return np.where(inside, there[:, 0] * width + there[:, 1], -1)

    def take(self, cells: NDArray[np.int64], sources: NDArray[np.int64]) -> None:
        """Remembers which cells were taken: (n,), (n,)."""
        width = self.made.shape[1]
        line, column = np.divmod(cells, width)
        self.steps[line, column] = np.stack(np.divmod(sources, width), axis=1) - np.stack([line, column], axis=1)
        self.made[line, column] = True


class AttentionMemory:
    """Fills one frame after the other, in order; holds some numbers for each cell of each attention.

    Args:
        inpainter: of a model that `remembers`.
        sharpness: see `pennet.inference.predict`.
        bonus: see `BONUS`; 0 remembers, and changes nothing.
    """

    def __init__(self, inpainter: Inpainter, sharpness: float | None = None, bonus: float = BONUS):
        self.inpainter, self.sharpness, self.bonus = inpainter, sharpness, bonus
        self.generator: Any = inpainter.generator
        self.windows: tuple[Window, ...] = ()
        self.choices: list[list[Choices]] = []
        """Of each window, those of each of the generator's attentions."""

    def fill(self, frame: Frame, hole: Mask, motion: Motion | None) -> Frame:
        """The next frame, its hole filled by attention that remembers; the first one as if there were no memory.

        Args:
            frame: (H, W, 3).
            hole: (H, W); without any pixel all is forgotten.
            motion: since the frame before; None if there is none.
        """
        if not hole.any():
            self.windows, self.choices = (), []
            return frame
        mask = hole.astype(np.uint8)
        windows = self.inpainter.plan(mask).windows
        share = motion.share if motion and motion.share >= LEAST_SHARE else 0.0
        for i, (then, now) in enumerate(zip(self.windows, windows, strict=False)):
            if motion is None or not share or then[2:] != now[2:]:
                self.choices[i] = []
                continue
            px = np.array(motion.px) + then[:2] - np.array(now[:2])
            for choices, cell_px in zip(self.choices[i], self._cells_px(), strict=True):
                choices.move(px / (now.factor * cell_px))
        self.windows, self.choices = windows, [*self.choices[: len(windows)], *([] for _ in windows[len(self.choices) :])]
        with self._watching(self.bonus * share):
            return self.inpainter.fill(frame, mask, sharpness=self.sharpness).image.astype(np.uint8)

    @property
    def decides_all(self) -> bool:
        """Whether the last frame was seen at its own size: where it was seen smaller, details are carried up by a search
        that remembers nothing."""
        return all(window.factor == 1 for window in self.windows)

    def _cells_px(self) -> list[int]:
        """Side of a position of what is compared, in the network's pixels, for each of its transfers."""
        deepest = self.generator.shallowest + len(self.generator.transfers)
        return [2 ** (deepest - depth) for depth in range(len(self.generator.transfers))]

    @contextmanager
    def _watching(self, bonus: float) -> Iterator[None]:
        """While the generator fills a frame, its attentions remember."""
        done = iter(range(len(self.windows)))

        def next_window(_: Any, arguments: tuple[Tensor, ...]) -> None:
            i, (height, width) = next(done), arguments[0].shape[-2:]
            before = self.choices[i]
            self.choices[i] = [Choices(height // px, width // px) for px in self._cells_px()]
            for depth, transfer in enumerate(self.generator.transfers):
                if transfer is not None:
                    now = self.choices[i][depth]
                    now.rest = before[depth].rest if before else now.rest
                    transfer.revise = partial(_revised, before[depth] if before else None, now, bonus)

        handle = self.generator.register_forward_pre_hook(next_window)
        try:
            yield
        finally:
            handle.remove()
            for transfer in self.generator.transfers:
                if transfer is not None:
                    transfer.revise = None


def remembers(inpainter: Inpainter) -> bool:
    """Whether a model has attention that can remember: a PEN-Net in `paper` mode."""
    transfers = getattr(getattr(inpainter, "generator", None), "transfers", ())
    return any(getattr(transfer, "mode", None) == "paper" for transfer in transfers)


def _revised(
    before: Choices | None, now: Choices, bonus: float, keys: Tensor, softmax_scale: float, queries: Tensor, scores: Tensor
) -> Tensor:
    """Scores (1, n, k) with those of remembered keys raised; what has most of them now is remembered."""
    cells, key_cells = queries[0].cpu().numpy(), keys[0].cpu().numpy()
    sources = before.source(cells) if before else np.full(len(cells), -1)
    index = np.full(now.made.size + 1, -1)
    index[key_cells] = np.arange(len(key_cells))
    columns = index[sources]  # the last one, for none, is -1
    rows = np.flatnonzero(columns >= 0)
    at = torch.from_numpy(rows).to(scores.device), torch.from_numpy(columns[rows]).to(scores.device)
    scores[0][at] += bonus * softmax_scale
    chosen = key_cells[scores[0].argmax(dim=1).cpu().numpy()]
    now.asked += len(rows)
    now.changed += int(np.count_nonzero(chosen[rows] != sources[rows]))
    now.take(cells, chosen)
    return scores
