"""`pennet pack`: a data set of one's own photos in one file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from pennet.commands.ending import fail
from pennet.errors import UserError


def pack(
    photos: Annotated[Path, typer.Argument(help="Folder of photos, with subfolders; one subfolder stays in one split.")],
    archive: Annotated[Path, typer.Argument(help="The zip file to write.")],
    test_ratio: Annotated[float, typer.Option(help="Share kept for the test.")] = 0.2,
) -> None:
    """Make a data set of your own photos; prints what to add to params.yaml."""
    from pennet.data.commands.entry import Entry, data_set_name
    from pennet.data.commands.pack import pack as pack_folder

    try:
        entry = Entry(data_set_name(archive.stem), "packed", archive.as_posix())  # refused before anything is written
        packed = pack_folder(photos, archive, test_ratio)
    except (UserError, OSError) as error:
        fail(error)
    if packed.left_out:
        typer.echo(f"left out: {packed.left_out}", err=True)
    typer.echo(f"{archive}: {packed.num_train} training and {packed.num_test} test photos. Add to params.yaml:")
    typer.echo(replace(entry, sha256=packed.sha256).text(), nl=False)
