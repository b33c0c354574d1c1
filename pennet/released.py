"""The file format of the authors' released PEN-Net checkpoints."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pennet.errors import UserError
from pennet.models.pennet import PENNet

REMEDY = "give the file of the authors' generator, gen_NNNNN.pth"


def load_released_generator(state_dict_or_path: Mapping[str, Any] | str | Path) -> PENNet:
    """Builds the six-level generator in `released` mode with the authors' weights.

    Args:
        state_dict_or_path: the generator's state dict under the authors' names, a checkpoint that holds it under
            `netG`, or the path of such a file. Files are read with `weights_only=True`: no code in them is run.

    Raises:
        UserError: no such file, or not a checkpoint of the released generator; names what is missing, unexpected or of
            another shape.
        OSError: the file cannot be read; names it.
    """
    source = "state dict"
    if isinstance(state_dict_or_path, str | Path):
        source = str(state_dict_or_path)
        if not Path(source).is_file():
            raise UserError(f"{source}: no such file; {REMEDY}")
        try:
            state_dict_or_path = torch.load(state_dict_or_path, map_location="cpu", weights_only=True)
        except OSError:
            raise
        except Exception as error:  # bytes that are no pickle can end in any error of the unpickler
            raise UserError(f"{source}: not a PyTorch checkpoint ({error}); {REMEDY}") from error
    if not isinstance(state_dict_or_path, Mapping):
        raise UserError(f"{source}: holds a {type(state_dict_or_path).__name__}, not a state dict; {REMEDY}")
    found = state_dict_or_path.get("netG", state_dict_or_path)
    if not isinstance(found, Mapping):
        raise UserError(f"{source}: netG is a {type(found).__name__}, not a state dict; {REMEDY}")
    for name, value in found.items():
        if not isinstance(name, str) or not isinstance(value, Tensor):
            raise UserError(f"{source}: {name!r} is a {type(value).__name__}, not a named tensor; {REMEDY}")
    released: dict[str, Tensor] = {name.removeprefix("module."): value for name, value in found.items()}

    names = released_names()
    weights: dict[str, Tensor] = {ours: released[theirs] for theirs, ours in names.items() if theirs in released}
    first = weights.get("encoder.convs.0.weight")
    # With another shape the width is not in the file, and the shape is among the problems.
    base_width = len(first) if first is not None and first.shape[1:] == (4, 3, 3) and len(first) >= 4 else 32
    generator = PENNet(num_levels=6, base_width=base_width, attention_mode="released")
    expected = generator.state_dict()
    problems = [f"missing {theirs}" for theirs in names if theirs not in released]
    problems += [f"unexpected {theirs}" for theirs in released if theirs not in names]
    problems += [
        f"{theirs} has shape {tuple(released[theirs].shape)}, not {tuple(expected[ours].shape)}"
        for theirs, ours in names.items()
        if theirs in released and released[theirs].shape != expected[ours].shape
    ]
    if problems:
        raise UserError(f"{source}: not the released PEN-Net generator: {'; '.join(problems[:5])}; {REMEDY}")
    generator.load_state_dict(weights)
    return generator.eval()


def released_names() -> dict[str, str]:
    """The authors' name of every weight -> ours."""
    layers = {f"dw_conv{i + 1:02}.0": f"encoder.convs.{i}" for i in range(6)}
    for position, scale in enumerate((5, 4, 3, 2, 1)):
        layers[f"up_conv{scale:02}.0"] = f"decoder.up_convs.{position}"
        layers[f"torgb{scale}.0"] = f"decoder.to_rgb.{position}"
        if scale < 5:
            for i in range(4):
                layers[f"at_conv{scale:02}.conv{i:02}.0"] = f"transfers.{position}.refine.{i}"
    layers |= {"decoder.0": "decoder.merge", "decoder.2": "decoder.paint"}
    return {f"{theirs}.{kind}": f"{ours}.{kind}" for theirs, ours in layers.items() for kind in ("weight", "bias")}
