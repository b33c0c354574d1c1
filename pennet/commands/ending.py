"""How commands end: exit codes, and the one line that says why."""

from __future__ import annotations

from typing import NoReturn

import typer

FAILED = 1
"""Bad input: some or all of the work was not done. (2 is a wrong use of the command itself, as everywhere.)"""
INTERRUPTED = 130
"""Ctrl-C: 128 and the number of its signal, as shells have it."""


def fail(error: object) -> NoReturn:
    """Ends the command with a message for the person who gave the input."""
    typer.echo(f"pennet: {error}", err=True)
    raise typer.Exit(FAILED)
