"""`pennet studio`: the web page."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from pennet.commands.ending import INTERRUPTED, fail
from pennet.errors import UserError
from pennet.extras import require
from pennet.studio.limits import Limits

LOOPBACK = ("127.0.0.1", "localhost", "::1")
_LIMITS = Limits()


def studio(
    model: Annotated[
        list[Path] | None, typer.Option(help="Folder of a trained generator to offer too; may be repeated.")
    ] = None,
    comparison: Annotated[
        Path | None,
        typer.Option(help="Folder of a comparison to show \\[default: the first of reports/*/comparison]."),
    ] = None,
    host: Annotated[str, typer.Option(help="Address to listen on; 0.0.0.0 lets everybody on the network in.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes any that is free.")] = 7860,
    max_megabytes: Annotated[int, typer.Option(min=1, help="Largest file that is taken.")] = _LIMITS.megabytes,
    max_megapixels: Annotated[int, typer.Option(min=1, help="Largest photo that is taken.")] = _LIMITS.megapixels,
    keep_minutes: Annotated[
        float, typer.Option(min=0.01, help="After so long, uploads and results are deleted.")
    ] = _LIMITS.keep_minutes,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")] = "auto",
) -> None:
    """Fill holes in the browser: paint, compare methods side by side, see where copies come from.

    Only this machine can reach the page unless --host says otherwise; it has no password. Until Ctrl-C.
    """
    limits = Limits(max_megabytes, max_megapixels, keep_minutes)
    try:
        require("studio", "gradio")
        _serve(model or [], comparison, host, port, limits, device)
    except (UserError, OSError) as error:
        fail(error)
    except KeyboardInterrupt:
        raise typer.Exit(INTERRUPTED) from None


def _serve(given: list[Path], comparison: Path | None, host: str, port: int, limits: Limits, device: str) -> None:
    from pennet.studio.kept_files import kept_folder
    from pennet.studio.server import bound, serve

    if comparison is not None and not comparison.is_dir():
        raise UserError(f"--comparison {comparison}: no such folder; give one with comparison.md, or leave it out")
    with bound(host, port) as listening, kept_folder():
        from pennet.studio.comparison_tab import found_in_checkout
        from pennet.studio.models import Models
        from pennet.studio.page import build_page

        models = Models(given, device=device)
        comparison = comparison or found_in_checkout()
        page = build_page(models, limits, comparison)
        address = f"[{host}]" if ":" in host else host
        typer.echo(f"pennet studio: http://{address}:{listening.getsockname()[1]}/ until Ctrl-C")
        if host not in LOOPBACK:
            typer.echo("pennet studio: everybody who reaches this machine can use the page: it has no password", err=True)
        sys.stdout.flush()
        serve(page, listening, limits.megabytes, [comparison] if comparison else [])
