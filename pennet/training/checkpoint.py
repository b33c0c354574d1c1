"""Checkpoints: written whole or not at all, the last two kept, never loaded into another configuration."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from pennet.atomic import replacing
from pennet.errors import UserError

KEPT = 2
Identity = Mapping[str, str]
"""What a training run is: flat `key: value` pairs (parameters, code, data)."""


def checkpoint_paths(folder: Path) -> list[Path]:
    """The finished checkpoints of a folder, oldest first."""
    return sorted(folder.glob("step-*.pt"))


def save_checkpoint(folder: Path, step: int, identity: Identity, state: dict[str, Any]) -> Path:
    """Writes `step-NNNNNNNN.pt` atomically, then removes all but the last two.

    Raises:
        OSError: the disk is full or not writable; the older checkpoints are untouched.
    """
    path = folder / f"step-{step:08}.pt"
    try:
        with replacing(path) as temporary:
            torch.save({"step": step, "identity": dict(identity), "state": state}, temporary)
    except (OSError, RuntimeError) as error:  # torch's zip writer reports a full disk as a RuntimeError
        kept = checkpoint_paths(folder)
        rest = f"the last good one is {kept[-1]}" if kept else "there is none before it"
        raise OSError(f"cannot save checkpoint {path}: {error}; {rest}; free some disk space and run again") from error
    for old in checkpoint_paths(folder)[:-KEPT]:
        old.unlink()
    return path


def load_checkpoint(path: Path, identity: Identity) -> tuple[int, dict[str, Any]]:
    """Reads a checkpoint of exactly this identity: (step, state), tensors on the CPU.

    Raises:
        UserError: unreadable, or of another configuration; names what differs.
    """
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
        step, saved, state = content["step"], content["identity"], content["state"]
    except (pickle.UnpicklingError, RuntimeError, EOFError, KeyError, TypeError, OSError) as error:
        raise UserError(f"checkpoint {path} cannot be read ({error}); remove it to go on from an older one") from error
    differences = [
        f"{key}: {saved.get(key, 'absent')} there, {identity.get(key, 'absent')} here"
        for key in sorted({*saved, *identity})
        if saved.get(key) != identity.get(key)
    ]
    if differences:
        raise UserError(
            f"checkpoint {path} is of another configuration: {'; '.join(differences)}."
            " Restore that configuration, or remove the checkpoint to start anew"
        )
    return step, state
