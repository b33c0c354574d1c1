"""The command line of the library: `pennet`. Its commands are in `pennet.commands` and beside what they run."""

from __future__ import annotations

import os
import pkgutil
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
import typer.core

COMMANDS = {
    "inpaint": "pennet.commands.inpaint:inpaint",
    "inpaint-video": "pennet.video.command:inpaint_video",
    "studio": "pennet.studio.command:studio",
    "export": "pennet.onnx.command:export",
    "evaluate": "pennet.commands.evaluate:evaluate",
    "pack": "pennet.commands.pack:pack",
}
"""Name -> `module:function`. The modules import what takes time (torch, numpy, gradio, ...) inside their functions: all are
loaded to show `pennet --help`."""
GROUPS = {
    "mask": "pennet.commands.mask:app",
    "data": "pennet.data.commands.cli:app",
}
"""Name -> `module:app` of commands that have commands."""


class _Command(typer.core.TyperCommand):
    """Names all arguments where one is missing: of `IMAGE... MASK`, parsers miss IMAGE where MASK was forgotten."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        try:
            return super().parse_args(ctx, args)
        except typer.BadParameter as error:
            wanted = [each for each in self.params if each.param_type_name == "argument"]
            if error.message or error.param not in wanted or len(wanted) == 1:
                raise
            names = " ".join((each.metavar or str(each.name)) + "..." * (each.nargs == -1) for each in wanted)
            raise typer.BadParameter(f"expected {names}; one of them is missing.", ctx) from error


app = typer.Typer(
    help="PEN-Net Studio: image inpainting that can be measured and repeated.",
    epilog="Exit codes: 0 all done, 1 some or all of the input could not be used, 2 wrong use of the command, 130 Ctrl-C.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
for _name, _place in COMMANDS.items():
    app.command(_name, cls=_Command)(pkgutil.resolve_name(_place))
for _name, _place in GROUPS.items():
    app.add_typer(pkgutil.resolve_name(_place), name=_name)


def _show_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"pennet {version('pennet')}")
        raise typer.Exit()


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and end.")
    ] = False,
) -> None:
    """Runs before every command; its docstring is not shown, `help` of the app is."""


def main() -> None:
    for stream in ("stdout", "stderr"):
        if getattr(sys, stream) is None:  # closed by whoever started this; nobody reads, but the work is done
            setattr(sys, stream, Path(os.devnull).open("w"))  # noqa: SIM115  # for as long as the process lives
    app(prog_name="pennet")  # also as `python -m pennet`: completion is for that name
