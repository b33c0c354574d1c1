"""`pennet export`: a trained generator for other programs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from pennet.errors import UserError
from pennet.extras import require

RELEASED_PX = 256
"""Side of the pictures that the authors trained with."""


def export(
    model: Annotated[Path, typer.Argument(help="Folder of a trained generator, or a checkpoint of the authors' release.")],
    onnx: Annotated[Path, typer.Option(help="Where the ONNX file goes; its pictures may have any size.")],
    name: Annotated[str, typer.Option(help="Name in the file \\[default: the model's].")] = "",
    trained_size: Annotated[
        int | None, typer.Option(min=1, help="Side of the pictures it was trained on, in pixels \\[default: as it says].")
    ] = None,
) -> None:
    """Write a trained generator as an ONNX file, which `pennet inpaint` and ONNX Runtime read."""
    try:
        require("onnx", "onnx", "onnxruntime")
        if onnx.suffix.lower() != ".onnx":
            raise UserError(f"{onnx}: the result is an ONNX file; choose a name that ends in .onnx")
        from pennet.generator_files import load_generator
        from pennet.onnx.exporting import export_onnx
        from pennet.onnx.running import load_onnx
        from pennet.released import load_released_generator

        generator = load_released_generator(model) if model.is_file() else load_generator(model)
        export_onnx(generator, onnx, name or model.resolve().name, trained_size or trained_size_px(model))
        written = load_onnx(onnx)
    except (UserError, OSError) as error:
        typer.echo(f"pennet: {error}", err=True)
        raise typer.Exit(1) from None
    trained = f"trained at {written.trained_size_px} px" if written.trained_size_px else "trained size unknown"
    mib = onnx.stat().st_size / 2**20
    typer.echo(f"{onnx}: {written.name}, {mib:.1f} MiB, sides that divide by {written.unit_px} px, {trained}")


def trained_size_px(model: Path) -> int | None:
    """Side of the pictures that a model was trained on, as its card or identity says; None if neither does."""
    if model.is_file():
        return RELEASED_PX
    for file, key in (("card.json", "size_px"), ("identity.json", "prepare.image_size_px")):
        try:
            return int(json.loads((model / file).read_text(encoding="utf-8"))[key])
        except (OSError, ValueError, KeyError, TypeError):
            continue
    return None
