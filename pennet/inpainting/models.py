"""Models by name: the shipped one, methods that need no training, folders, files, registered versions, or a generator."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pennet.data.sources.search import in_one_line
from pennet.errors import UserError
from pennet.methods import classical_methods

if TYPE_CHECKING:
    from torch import nn

SHIPPED = Path(__file__).parents[1] / "weights" / "default"
"""Of the model `default`: its weights, its configuration and its card."""
CARD_FILE = "card.json"
RELEASED_PX = 256
"""Side of the pictures that the authors trained with."""
CHECKPOINTS = (".pth", ".pt", ".ckpt", ".bin")
REGISTERED = "models:/"


@dataclass(frozen=True)
class Model:
    """What paints: a generator, or a method that needs none."""

    name: str
    generator: nn.Module | None
    """In eval mode; None for a method that needs no training, whose name this one's is."""
    trained_size_px: int | None


def find_model(wanted: str | Path | nn.Module) -> Model:
    """The model that was asked for, on the CPU.

    Args:
        wanted: see `pennet.inpainter.Inpainter`.

    Raises:
        UserError: no such model, or one that cannot be read; names what there is.
    """
    from pennet.generator_files import WEIGHTS_FILE, load_generator

    if not isinstance(wanted, str | Path):
        if not hasattr(wanted, "unit_px"):  # every generator of pennet.models has
            raise UserError(
                f"model: expected a name, a path or a generator, got a {type(wanted).__name__}; {_what_there_is()}"
            )
        return Model(type(wanted).__name__, wanted.eval(), getattr(wanted, "trained_size_px", None))
    name = str(wanted)
    if isinstance(wanted, str) and wanted in classical_methods():
        return Model(wanted, None, None)
    if name == "default":
        if not (SHIPPED / WEIGHTS_FILE).exists():
            raise UserError(f"default: the shipped generator is missing at {SHIPPED}; install pennet again, or name a model")
        return Model(name, load_generator(SHIPPED), trained_size(SHIPPED))
    if isinstance(wanted, str) and wanted.startswith(REGISTERED):
        from pennet.inpainting.registered import find_registered

        with find_registered(wanted) as folder:
            return Model(name, load_generator(folder), trained_size(folder))
    path = Path(wanted)
    if path.suffix.lower() == ".onnx":
        from pennet.onnx.running import load_onnx

        exported = load_onnx(path)
        return Model(path.name, exported, exported.trained_size_px)
    if path.is_dir():
        return Model(name, load_generator(path), trained_size(path))
    if path.is_file() and path.suffix.lower() in CHECKPOINTS:
        from pennet.released import load_released_generator

        return Model(name, load_released_generator(path), RELEASED_PX)
    if path.is_file() and path.name == WEIGHTS_FILE:
        return Model(name, load_generator(path.parent), trained_size(path.parent))
    raise UserError(f"{in_one_line(name)}: {_what_is_wrong(path)}; {_what_there_is()}")


def trained_size(folder: Path) -> int | None:
    """Side of the pictures that the generator in a folder was trained on; None if nothing there says so.

    The shipped model's card says it; a folder that the train stage made says it in the identity of its training.
    """
    for file, key in ((CARD_FILE, "size_px"), ("identity.json", "prepare.image_size_px")):
        try:
            return int(json.loads((folder / file).read_text())[key])
        except (OSError, ValueError, KeyError, TypeError):
            continue
    return None


def _what_is_wrong(path: Path) -> str:
    if path.is_file():
        return "no file that models are read from" if path.suffix != ".safetensors" else "name its folder instead"
    return "no such model"


def _what_there_is() -> str:
    return (
        f"a model is default, one of {', '.join(classical_methods())}, the folder of a trained generator, its"
        f" generator.safetensors, what `pennet export` wrote (.onnx), a checkpoint of the authors' release (.pth), or"
        f" {REGISTERED}NAME@ALIAS"
    )
