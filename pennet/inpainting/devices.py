"""Where a network runs, as a person asks for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pennet.errors import UserError

if TYPE_CHECKING:
    import torch

_KEY_OF_TRAININGS = "runtime.device"


def asked_device(name: str, key: str) -> torch.device:
    """`pennet.seeding.choose_device`, with the place where a person asked in its messages.

    Raises:
        UserError: no such device; names the key.
    """
    from pennet.seeding import choose_device

    try:
        return choose_device(name)
    except UserError as error:
        raise UserError(str(error).replace(_KEY_OF_TRAININGS, key, 1)) from error
