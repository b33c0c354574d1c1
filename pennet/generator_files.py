"""A trained generator in a folder: its weights, and the configuration that says what to load them into."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from pennet.atomic import replacing, write_json
from pennet.config import MethodConfig, recipe_from_mapping
from pennet.errors import UserError
from pennet.methods import build_generator

WEIGHTS_FILE = "generator.safetensors"
CONFIG_FILE = "config.json"
_LONGEST_REASON = 200
"""Characters: of other weights torch lists every name."""


def save_generator(generator: nn.Module, config: MethodConfig, folder: Path) -> None:
    """Writes `generator.safetensors` and `config.json`: all that `load_generator` needs.

    Raises:
        OSError: the disk is full or not writable; what was there before is untouched.
    """
    weights = {name: value.detach().cpu().contiguous() for name, value in generator.state_dict().items()}
    try:
        with replacing(folder / WEIGHTS_FILE) as temporary:
            save_file(weights, temporary)
    except SafetensorError as error:  # how the library reports a full disk
        raise OSError(f"cannot save weights {folder / WEIGHTS_FILE}: {error}; free some disk space and run again") from error
    write_json(folder / CONFIG_FILE, asdict(config))


def load_generator(folder: Path | str) -> nn.Module:
    """Builds the generator saved in a folder, in eval mode on the CPU.

    Raises:
        UserError: a file is missing, unreadable, or the weights do not fit the configuration.
    """
    folder = Path(folder)
    try:
        saved = json.loads((folder / CONFIG_FILE).read_text())
        weights = load_file(folder / WEIGHTS_FILE)
    except FileNotFoundError as error:  # of the weights without their name
        missing = error.filename or folder / WEIGHTS_FILE
        raise UserError(f"{folder} holds no trained generator: {missing} is missing; train one first") from error
    except (json.JSONDecodeError, SafetensorError) as error:
        raise UserError(f"{folder} holds no readable generator: {error}") from error
    generator = build_generator(recipe_from_mapping(saved, str(folder / CONFIG_FILE)))
    try:
        generator.load_state_dict(weights)
    except RuntimeError as error:
        reasons = [line.strip() for line in str(error).splitlines()[1:]]
        more = f" and {len(reasons) - 1} more reasons" if len(reasons) > 1 else ""
        reason = f"{reasons[0][:_LONGEST_REASON]}{more}" if reasons else str(error)
        raise UserError(f"{folder / WEIGHTS_FILE} does not fit {CONFIG_FILE} beside it: {reason}; train it anew") from error
    if odd := next((name for name, value in weights.items() if not value.isfinite().all()), None):
        raise UserError(f"{folder / WEIGHTS_FILE}: {odd} holds what is no number (NaN or infinity); train it anew")
    return generator.eval()
