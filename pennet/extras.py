"""What an optional part of the installation brings, asked for before any work is done with it."""

from __future__ import annotations

import importlib.util

from pennet.errors import UserError


def require(extra: str, *modules: str) -> None:
    """Checks that modules can be imported, without importing them.

    Args:
        extra: the extra of the distribution `pennet` that brings them, as in `pip install "pennet[extra]"`.
        modules: top-level modules.

    Raises:
        UserError: names the modules that are missing and the extra.
    """
    missing = [module for module in modules if importlib.util.find_spec(module) is None]
    if missing:
        raise UserError(f'{", ".join(missing)}: not installed; pip install "pennet[{extra}]"')
