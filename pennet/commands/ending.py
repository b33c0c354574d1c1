"""How commands end: exit codes, and the one line that says why."""

from __future__ import annotations

import os
from typing import NoReturn

import typer

FAILED = 1
"""Bad input: some or all of the work was not done. (2 is a wrong use of the command itself, as everywhere.)"""
INTERRUPTED = 130
"""Ctrl-C: 128 and the number of its signal, as shells have it."""


def said(error: BaseException) -> str:
    """An error in one message: of the system's ones the file and the reason, without its number."""
    if not isinstance(error, OSError):
        return str(error)
    from pennet.data.sources.search import in_one_line

    if error.strerror:
        return in_one_line(f"{os.fsdecode(error.filename)}: {error.strerror}" if error.filename else error.strerror)
    return in_one_line(str(error))


def fail(error: BaseException) -> NoReturn:
    """Ends the command with a message for the person who gave the input."""
    typer.echo(f"pennet: {said(error)}", err=True)
    raise typer.Exit(FAILED)
