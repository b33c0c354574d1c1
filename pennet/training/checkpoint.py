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
UNREADABLE = (pickle.UnpicklingError, RuntimeError, OSError, EOFError, LookupError, TypeError, ValueError, AttributeError)
"""What a damaged file makes torch raise, depending on where it is damaged."""
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
        with replacing(path) as temporary, temporary.open("wb") as file:
            torch.save({"step": step, "identity": dict(identity), "state": state}, file)
    except (OSError, RuntimeError) as error:
        # Of a disk that is full, torch's writer says "unexpected pos"; what the file of our own said stands behind that.
        reason = error.__context__ if isinstance(error.__context__, OSError) else error
        kept = checkpoint_paths(folder)
        rest = f"the last good one is {kept[-1]}" if kept else "there is none before it"
        said = getattr(reason, "strerror", None) or reason
        raise OSError(f"cannot save checkpoint {path}: {said}; {rest}; free some disk space and run again") from error
    for old in checkpoint_paths(folder)[:-KEPT]:
        old.unlink()
    return path


def load_checkpoint(path: Path, identity: Identity) -> tuple[int, dict[str, Any]]:
    """Reads a checkpoint of exactly this identity: (step, state), tensors on the CPU.

    Raises:
        UserError: unreadable, or of another configuration; names what differs, the remedy and older checkpoints.
        OSError: it is not there, or this user may not read it.
    """
    older = [other for other in checkpoint_paths(path.parent) if other < path]
    with path.open("rb") as file:
        try:
            content = torch.load(file, map_location="cpu", weights_only=True)
            step, saved, state = int(content["step"]), dict(content["identity"]), dict(content["state"])
        except UNREADABLE as error:
            what = "is empty" if path.stat().st_size == 0 else f"cannot be read, it is damaged ({_first_line(error)})"
            instead = f"go on from the older {older[-1]}" if older else "start anew; there is no older one"
            raise UserError(f"checkpoint {path} {what}; remove it to {instead}") from error
    if differs := differences(saved, identity):
        raise UserError(
            f"checkpoint {path} is of another configuration: {'; '.join(differs)}."
            f" Restore that configuration, or remove {' and '.join(map(str, [path, *older]))} to start anew"
        )
    return step, state


def differences(there: Identity, here: Identity) -> list[str]:
    """What differs between two identities, a readable entry each."""
    keys = (key for key in sorted({*there, *here}) if there.get(key) != here.get(key))
    return [f"{key}: {there.get(key, 'absent')} there, {here.get(key, 'absent')} here" for key in keys]


def _first_line(error: Exception) -> str:
    """Without the advice about other ways of loading that torch appends."""
    return next(iter(str(error).splitlines()), "") or type(error).__name__
