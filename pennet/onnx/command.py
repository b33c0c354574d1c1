"""`pennet export`: a trained generator for other programs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pennet.commands.ending import fail
from pennet.commands.new_files import check_new
from pennet.errors import UserError
from pennet.extras import require


def export(
    model: Annotated[str, typer.Argument(help="As `--model` of `pennet inpaint`: default, a folder, a checkpoint, ...")],
    onnx: Annotated[Path, typer.Option(help="Where the ONNX file goes; its pictures may have any size.")],
    name: Annotated[str, typer.Option(help="Name in the file \\[default: the model's].")] = "",
    trained_size: Annotated[
        int | None, typer.Option(min=1, help="Side of the pictures it was trained on, in pixels \\[default: as it says].")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an ONNX file that is there.")] = False,
) -> None:
    """Write a trained generator as an ONNX file, which `pennet inpaint` and ONNX Runtime read."""
    try:
        require("onnx", "onnx", "onnxruntime")
        from pennet.data.sources.search import shown

        if onnx.suffix.lower() != ".onnx":
            raise UserError(f"{shown(onnx)}: the result is an ONNX file; choose a name that ends in .onnx")
        check_new(onnx, [Path(model)], overwrite)
        from pennet.inpainting.models import find_model
        from pennet.onnx.exporting import export_onnx
        from pennet.onnx.running import OnnxGenerator, load_onnx

        found = find_model(model)
        if found.generator is None or isinstance(found.generator, OnnxGenerator):
            kind = "a method without training" if found.generator is None else "exported already"
            raise UserError(f"{shown(Path(model))}: {kind}; name a trained generator")
        export_onnx(found.generator, onnx, name or Path(model).resolve().name, trained_size or found.trained_size_px)
        written = load_onnx(onnx)
    except (UserError, OSError) as error:
        fail(error)
    trained = f"trained at {written.trained_size_px} px" if written.trained_size_px else "trained size unknown"
    mib = onnx.stat().st_size / 2**20
    typer.echo(f"{shown(onnx)}: {written.name}, {mib:.1f} MiB, sides that divide by {written.unit_px} px, {trained}")
