"""The file format of the authors' released PEN-Net checkpoints."""

from __future__ import annotations

import argparse
import codecs
import re
from collections.abc import Mapping
from pathlib import Path, PosixPath, PurePosixPath
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pennet.errors import UserError
from pennet.models.pennet import PENNet

REMEDY = "give the file of the authors' generator, gen_NNNNN.pth"
WRAPPERS = ("netG", "generator", "gen", "G", "state_dict", "model_state_dict", "model", "params", "weights")
"""Under what a checkpoint holds a generator's state dict, the likeliest first."""
MOST_WRAPPERS = 4
_PREFIXES = re.compile(r"^((module|netG|generator|model)\.)+")
_LIKE_A_PAGE = re.compile(rb"\s*(\xef\xbb\xbf)?\s*<(!doctype|html|head|\?xml|!--)", re.IGNORECASE)
_NOT_ALLOWED = re.compile(r"GLOBAL ([\w.]+)")


def load_released_generator(state_dict_or_path: Mapping[str, Any] | str | Path) -> PENNet:
    """Builds the six-level generator in `released` mode with the authors' weights.

    Args:
        state_dict_or_path: the generator's state dict under the authors' names, also with the prefix of a wrapper
            (`module.`) and in half precision; a checkpoint that holds it under `netG`, `generator`, `state_dict` or the
            like, with other things beside; or the path of such a file, which is read by `read_checkpoint`.

    Raises:
        UserError: no such file, or not a checkpoint of the released generator; names what is missing, unexpected or of
            another shape.
        OSError: the file cannot be read; names it.
    """
    source = "state dict"
    if isinstance(state_dict_or_path, str | Path):
        source = str(state_dict_or_path)
        state_dict_or_path = read_checkpoint(Path(state_dict_or_path))
    released = _weights_in(state_dict_or_path, source)

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


def read_checkpoint(path: Path) -> Any:
    """What a PyTorch file holds, on the CPU: tensors, and the plain things that people save beside them.

    Read with `weights_only=True`: no code in it is run.

    Raises:
        UserError: no such file, no PyTorch file, or one that holds more than data; one line.
        OSError: the file cannot be read; names it.
    """
    if not path.is_file():
        raise UserError(f"{path}: no such file; {REMEDY}")
    with path.open("rb") as file:
        if _LIKE_A_PAGE.match(file.read(512)):
            raise UserError(f"{path}: a web page, saved under this name; download the file itself, and {REMEDY}")
    try:
        with torch.serialization.safe_globals(_plain_things()):
            return torch.load(path, map_location="cpu", weights_only=True)
    except OSError:
        raise
    except Exception as error:  # bytes that are no pickle can end in any error of the unpickler
        # The first lines of torch's own are advice to run whatever is in the file.
        if found := _NOT_ALLOWED.search(str(error)):
            raise UserError(
                f"{path}: holds a {found[1]}, which is no data and is not loaded; save the weights alone"
            ) from error
        raise UserError(f"{path}: not a PyTorch checkpoint; {REMEDY}") from error


def _plain_things() -> list[Any]:
    """What stands beside weights in the files of others and does nothing when loaded: NumPy's numbers, options, paths."""
    scalar, array = np.float32(0).__reduce__()[0], np.zeros(0).__reduce__()[0]
    kinds = {type(np.dtype(letter)) for letter in "?bBhHiIlLqQefd"}
    # Written by NumPy 1 under another name.
    old = [(scalar, "numpy.core.multiarray.scalar"), (array, "numpy.core.multiarray._reconstruct")]
    return [scalar, array, *old, np.dtype, np.ndarray, *kinds, argparse.Namespace, PosixPath, PurePosixPath, codecs.encode]


def _weights_in(checkpoint: Any, source: str) -> dict[str, Tensor]:
    """The named tensors of the generator, without the prefix of a wrapper."""
    what = "holds"
    for _ in range(MOST_WRAPPERS):
        if not isinstance(checkpoint, Mapping):
            raise UserError(f"{source}: {what} a {type(checkpoint).__name__}, not a state dict; {REMEDY}")
        inner = next((name for name in WRAPPERS if name in checkpoint), None)
        if inner is None:
            break
        checkpoint, what = checkpoint[inner], f"{inner} is"
    weights: dict[str, Tensor] = {}
    for name, value in checkpoint.items():
        if not isinstance(name, str) or not isinstance(value, Tensor | np.ndarray):
            raise UserError(f"{source}: {name!r} is a {type(value).__name__}, not a named tensor; {REMEDY}")
        weights[_PREFIXES.sub("", name)] = torch.as_tensor(value)
    return weights


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
