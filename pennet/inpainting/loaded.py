"""Models that stay loaded between the calls of `pennet.inpaint`."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from pennet.inpainter import Inpainter
from pennet.inpainting.models import REGISTERED

if TYPE_CHECKING:
    from torch import nn

NUM_LOADED = 2
"""The default and one to compare it with."""


def loaded(model: str | Path | nn.Module, device: str) -> Inpainter:
    """The inpainter of a model: one of the last ones; a new one where its files have changed since, and for an alias, which
    may have gone to another version."""
    if not isinstance(model, str | Path):
        own = next(model.parameters()).device if device == "auto" and hasattr(model, "parameters") else device
        return Inpainter(model, own)
    if str(model).startswith(REGISTERED):
        return Inpainter(model, device)
    return _loaded(model, device, _written(Path(model)))


@lru_cache(NUM_LOADED)
def _loaded(model: str | Path, device: str, written: tuple[int, ...]) -> Inpainter:
    return Inpainter(model, device)


def _written(path: Path) -> tuple[int, ...]:
    """When the files of a model were written, in nanoseconds; nothing for a name."""
    files = [path, *(path / name for name in ("generator.safetensors", "config.json"))]
    return tuple(file.stat().st_mtime_ns for file in files if file.is_file())
