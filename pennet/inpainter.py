"""Any photo, any size, any method: what the command line, Python, the registered model, the server and the web page share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import nn

Strategy = Literal["auto", "original", "crop", "resize"]
DEFAULT_MODEL = "default"
"""The small generator that is shipped with the package."""


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
        UserError: no such model, or one that cannot be read.
    """

    name: str
    trained_size_px: int | None
    """Side of the pictures that the model was trained on; None if it needs no training or does not say."""

    def __init__(self, model: str | Path | nn.Module = DEFAULT_MODEL, device: str = "auto"):
        raise NotImplementedError

    def plan(self, mask: NDArray[np.uint8], strategy: Strategy = "auto") -> Plan:
        """What `fill` would do with a mask (H, W), 1 = hole.

        Raises:
            UserError: the memory does not suffice; names the strategy that does.
        """
        raise NotImplementedError

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
            strategy: `original`, the whole photo at once; `crop`, each hole with its context; `resize`, each hole at the size
                that the model was trained for, enlarged; `auto`, as `resize`, with the details carried over by attention.
            sharpness: see `pennet.inference.predict`.
            feather_px: within this distance of the hole known pixels are blended with what was painted.
            progress: called with (windows done, all windows).

        Raises:
            UserError: shapes or types that do not fit, no hole, nothing known, too little memory.
        """
        raise NotImplementedError
