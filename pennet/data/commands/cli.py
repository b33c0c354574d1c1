"""`pennet data`: what data sets there are, how to get one or bring one's own, whether it is whole, what it looks like."""

from __future__ import annotations

import io
import shlex
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from pennet.errors import UserError

if TYPE_CHECKING:
    from pennet.data.sets.spec import Source

SHOWN = 10
SHEET_COLUMNS = 8

app = typer.Typer(help="The data sets: what they are, how to get them, whether they are whole.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="Of the data set, as `pennet data list` shows it.")]


@app.command("list")
def list_all() -> None:
    """All data sets, with their sizes."""
    from rich.console import Console
    from rich.table import Table

    from pennet.data.sets import data_sets
    from pennet.data.sets.card import download_text, splits_text

    table = Table("name", "data set", "pictures", "splits", "download", "licence")
    for name, data_set in data_sets().items():
        pictures = f"{data_set.num_images:,}" if data_set.num_images else ""
        licence = "to accept" if data_set.must_accept else ""
        table.add_row(name, data_set.title, pictures, splits_text(data_set), download_text(data_set), licence)
    Console().print(table)


@app.command()
def card(name: Name) -> None:
    """What should be known of a data set before it is downloaded: licence, sizes, splits, traps."""
    from pennet.data.sets import find
    from pennet.data.sets.card import card as page

    try:
        typer.echo(page(find(name)), nl=False)
    except UserError as error:
        _fail(error)


@app.command()
def download(
    name: Name,
    to: Annotated[Path | None, typer.Option(help="Folder for its files \\[default: data/archives/NAME].")] = None,
    accept_licence: Annotated[
        bool, typer.Option(help="I have read its licence and agree; `pennet data card` shows it.")
    ] = False,
    repository: Annotated[str | None, typer.Option(help="hub only: OWNER/NAME of a data set.")] = None,
    revision: Annotated[str | None, typer.Option(help="hub only: the commit, 40 hexadecimal digits.")] = None,
    no_lists: Annotated[
        bool,
        typer.Option("--no-lists", help="Do without the lists of the paper's split; it will be a seeded one, and say so."),
    ] = False,
) -> None:
    """Download the archives of a data set and the lists of the paper's split; go on where an earlier try was cut."""
    from pennet.data.sets import find, hub
    from pennet.data.sources.obtain import Lists, obtain

    try:
        data_set = find(name)
        folder = to or Path("data/archives") / name
        if (repository or revision) and data_set is not hub.HUB:
            raise UserError(f"{name}: --repository and --revision are for data set hub; leave them out")
        if data_set is hub.HUB and not (repository and revision):
            raise UserError("hub: name a data set and its commit: --repository OWNER/NAME --revision COMMIT")
        if data_set is not hub.HUB and not data_set.archives:
            raise UserError(f"{name}: there is nothing to download; give what you have: pennet data verify {name} PATH")
        own = [repository] if repository else []
        lists: Lists = "seeded" if no_lists else "paper"
        obtained = obtain(
            data_set, folder, own=own, revision=revision or "", accepted=accept_licence, lists=lists, say=typer.echo
        )
    except (UserError, OSError) as error:
        _fail(error)
    paths = [archive.path for archive in obtained.archives]
    listed = ["--lists", obtained.lists.path] if obtained.lists else []
    typer.echo(f"next: {shlex.join(['pennet', 'data', 'verify', name, *paths, *listed])}")


@app.command()
def verify(
    name: Name,
    paths: Annotated[list[Path], typer.Argument(help="Its archives or folders.")],
    lists: Annotated[
        Path | None, typer.Option(help="Archive of the paper's lists; without it the split is a seeded one, and says so.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of a seeded split.")] = 0,
    test_ratio: Annotated[
        float, typer.Option(min=0, max=1, help="Share that a seeded split tests with, if the set has no size.")
    ] = 0.1,
    val_ratio: Annotated[
        float, typer.Option(min=0, max=1, help="Share of the training pictures that is kept for validation.")
    ] = 0.05,
) -> None:
    """Check that archives are this data set and whole, decode every picture, and say how they are divided."""
    from pennet.data.sets import find
    from pennet.data.sets.splits import assign

    try:
        data_set = find(name)
        if lists and not data_set.paper:
            raise UserError(f"{name}: has no lists of the paper's authors; leave out --lists {lists}")
        source = data_set.read(paths)
        split = assign(data_set, source, lists, seed=seed, test_ratio=test_ratio, val_ratio=val_ratio)
        bad = _undecodable(source, name)
    except (UserError, OSError) as error:
        _fail(error)
    if source.left_out:
        typer.echo(f"no pictures: {source.left_out}", err=True)
    typer.echo(f"{name}: {len(source.places):,} pictures; split: {split.origin}")
    typer.echo(", ".join(f"{count:,} {part}" for part, count in split.counts().items()))
    if split.left_out:
        typer.echo(f"{len(split.left_out):,} left out, because their look-alikes test: {_first(split.left_out)}")
    if bad:
        listed = "".join(f"\n  - {problem}" for problem in bad)
        _fail(f"{name}: {len(bad):,} pictures cannot be read; repair or remove them:{listed}")


@app.command()
def init(
    name: Annotated[str, typer.Argument(help="What it is to be called: small letters, digits and _.")],
    path: Annotated[Path, typer.Argument(help="Folder of pictures, with subfolders, or a zip or tar archive.")],
    size_px: Annotated[
        int | None,
        typer.Option(min=16, help="Side of the squares to learn \\[default: 64, 128 or 256, as nearly all pictures have]."),
    ] = None,
    write: Annotated[
        Path | None, typer.Option(help="The params.yaml to add it to; without this option the lines are printed.")
    ] = None,
) -> None:
    """Look at your own pictures, and say what params.yaml needs to train on them: nothing is copied or packed."""
    from pennet.atomic import write_text
    from pennet.data.commands.entry import Entry
    from pennet.data.commands.survey import SMALLEST_PX, STEP_PX, describe, is_packed, survey

    try:
        root = write.parent.resolve() if write else Path.cwd()
        inside = path.resolve().is_relative_to(root)
        archive = path.resolve().relative_to(root) if inside else path.resolve()
        Entry(name, "folder", str(archive))
        if size_px and (size_px < SMALLEST_PX or size_px % STEP_PX):
            must = f"must be a multiple of {STEP_PX} from {SMALLEST_PX} on, as the networks need"
            raise UserError(f"--size-px {size_px}: {must}")
        if is_packed(path):
            entry = Entry(name, "packed", archive.as_posix(), image_size_px=size_px)
            lines: Iterable[str] = [f"{path}: is packed; its own manifest divides it"]
        else:
            found = survey(path)
            entry = Entry(name, "folder", archive.as_posix(), image_size_px=size_px or found.suggested_px())
            lines = describe(found, entry)
        added = entry.added_to(write) if write else ""
        for line in lines:
            typer.echo(line, err=True)
        if write:
            write_text(write, added)
            typer.echo(f"{write}: {name} is added to datasets, sources and overrides")
        else:
            typer.echo("Add to params.yaml:", err=True)
            typer.echo(entry.text(), nl=False)
    except (UserError, OSError) as error:
        _fail(error)


@app.command()
def stats(path: Annotated[Path, typer.Argument(help="A prepared data set: data/prepared/NAME.")]) -> None:
    """Say what a prepared data set holds: pictures of each split, sizes of the sources, what was left out and why."""
    from rich.console import Console
    from rich.table import Table

    from pennet.data.commands.statistics import QUANTILES, card_facts, of_splits, reasons
    from pennet.data.sets.card import bytes_text

    try:
        splits, facts = of_splits(path), card_facts(path)
        absent = {what: reasons(path / f"{what}.csv") for what in ("rejected", "left_out")}
    except (UserError, OSError) as error:
        _fail(error)
    for key, value in facts.items():
        typer.echo(f"{key}: {value}")
    table = Table("split", title="source pictures: smaller side in px", title_justify="right")
    for heading in ("pictures", "groups", "stored", *QUANTILES):
        table.add_column(heading, justify="right")
    for split in splits:
        counts = (f"{split.num_pictures:,}", f"{split.num_groups:,}", bytes_text(split.num_bytes))
        table.add_row(split.name, *counts, *(f"{side:,}" for side in split.smaller_side_px))
    Console().print(table)
    for what, found in absent.items():
        typer.echo(f"{what.replace('_', ' ')}: {sum(reason.count for reason in found):,}")
        for reason in found[:SHOWN]:
            typer.echo(f"  {reason.count:,} like {reason.example}")


@app.command()
def show(
    path: Annotated[Path, typer.Argument(help="A prepared data set: data/prepared/NAME.")],
    output: Annotated[Path, typer.Option(help="Where the sheet goes (PNG).")],
    split: Annotated[str, typer.Option(help="train, val or test.")] = "train",
    num: Annotated[int, typer.Option(min=1, help="Pictures, taken evenly from the whole split.")] = 24,
) -> None:
    """Draw a sheet of pictures as they were prepared."""
    import numpy as np

    from pennet.data.pictures.picture_files import save_png
    from pennet.data.pictures.shards import Shards
    from pennet.pictures import contact_sheet

    try:
        if output.suffix.lower() != ".png":
            raise UserError(f"{output}: the sheet is a PNG; choose a name that ends in .png")
        pictures = Shards(path, split)
        if not len(pictures):
            raise UserError(f"{path}: its {split} split holds no picture; choose another --split")
        chosen = np.linspace(0, len(pictures) - 1, min(num, len(pictures))).round().astype(int)
        save_png(output, contact_sheet([pictures[i] for i in chosen], columns=min(len(chosen), SHEET_COLUMNS)))
    except (UserError, OSError) as error:
        _fail(error)
    typer.echo(f"{output}: {len(chosen):,} of {len(pictures):,} pictures of {split}")


def _undecodable(source: Source, name: str) -> list[str]:
    """The pictures that cannot be read, each with its reason."""
    from tqdm import tqdm

    from pennet.data.pictures.picture_files import read_rgb

    bad = []
    for item in tqdm(source.items(), total=len(source.places), desc=f"verify {name}", unit="image"):
        try:
            read_rgb(io.BytesIO(item.content), item.key)
        except UserError as error:
            bad.append(str(error))
    return bad


def _first(items: tuple[str, ...]) -> str:
    return ", ".join(items[:SHOWN]) + (f" and {len(items) - SHOWN:,} more" if len(items) > SHOWN else "")


def _fail(problem: object) -> NoReturn:
    typer.echo(f"pennet data: {problem}", err=True)
    raise typer.Exit(1)
