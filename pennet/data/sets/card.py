"""Data cards: what somebody should know of a data set before downloading it.

`python -m pennet.data.sets.card docs/data` writes them, and with `--table` instead it prints the table of README.md.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from pathlib import Path

from pennet.atomic import write_text
from pennet.data.sets import data_sets
from pennet.data.sets.spec import Archive, DataSet

_UNKNOWN = "not published"


def card(data_set: DataSet) -> str:
    """A page of Markdown."""
    asked = "must be accepted before the download" if data_set.must_accept else "nothing has to be accepted"
    facts = [
        ("name", f"`{data_set.name}`"),
        ("page", data_set.homepage),
        ("pictures", f"{data_set.num_images:,}" if data_set.num_images else ""),
        ("splits", splits_text(data_set)),
        ("whose splits", data_set.split_origin),
        ("licence", f"{data_set.licence} ({asked})"),
        ("disk", f"{bytes_text(data_set.disk_bytes)}, for archives and one prepared copy" if data_set.disk_bytes else ""),
    ]
    parts = [f"# {data_set.title}", data_set.holds, _table(("", ""), [fact for fact in facts if fact[1]])]
    if data_set.archives:
        rows = [(f"`{a.file}`", a.holds, _size(a), _brought(a), a.check) for a in data_set.archives]
        parts += ["## Files", _table(("file", "holds", "size", "from", "checked by"), rows)]
    if data_set.splits:
        note = "Validation is taken from training, by the hash of a picture's group."
        lists = data_set.paper
        if lists:
            note += (
                f" The paper's lists, {lists.train.num_images:,} and {lists.test.num_images:,} images, are fetched from "
                f"<{lists.remote.urls[0]}> and checked. Where they cannot be had, a seeded split of the same size can be "
                "chosen; tables call it `seeded, N test images of seed S`."
            )
        parts += ["## Splits", note]
    for heading, notes in (("## Known bad or repeated pictures", data_set.known), ("## Traps", data_set.traps)):
        if notes:
            parts += [heading, "\n".join(f"- {note}" for note in notes)]
    if data_set.citation:
        parts += ["## Citation", f"```bibtex\n{data_set.citation}\n```"]
    return "\n\n".join(parts) + "\n"


def index() -> str:
    """The table of all data sets, as a page of Markdown."""
    rows = [
        (
            f"[`{data_set.name}`]({data_set.name}.md)",
            data_set.title,
            f"{data_set.num_images:,}" if data_set.num_images else "",
            splits_text(data_set),
            download_text(data_set),
            "yes" if data_set.must_accept else "no",
        )
        for data_set in data_sets().values()
    ]
    table = _table(("name", "data set", "pictures", "splits", "download", "licence to accept"), rows)
    return f"# Data sets\n\nWritten by `python -m pennet.data.sets.card docs/data`.\n\n{table}\n"


def short_table() -> str:
    """The table of all data sets for README.md."""
    rows = [
        (
            f"`{data_set.name}`",
            f"{data_set.num_images:,}" if data_set.num_images else "any",
            splits_text(data_set) or "its own, or seeded",
            download_text(data_set) or "none",
            f"{licence_in_short(data_set)}{' (to accept)' if data_set.must_accept else ''}",
            f"[{data_set.title}](docs/data/{data_set.name}.md)",
        )
        for data_set in data_sets().values()
    ]
    return _table(("name", "pictures", "splits", "download", "licence", "page"), rows) + "\n"


def licence_in_short(data_set: DataSet) -> str:
    """The first part of the sentence: the rest says what it means."""
    return re.split(r"[:;,]|\.(?!\d)", data_set.licence)[0]


def write(folder: Path) -> None:
    """Writes every card and the index."""
    write_text(folder / "README.md", index())
    for data_set in data_sets().values():
        write_text(folder / f"{data_set.name}.md", card(data_set))


def bytes_text(size_bytes: int | None) -> str:
    """`26.1 GB`, in powers of ten."""
    if size_bytes is None:
        return _UNKNOWN
    power, unit = next(((p, u) for p, u in ((9, "GB"), (6, "MB"), (3, "kB")) if size_bytes >= 10**p), (0, "B"))
    return f"{size_bytes / 10**power:.3g} {unit}"


def download_text(data_set: DataSet) -> str:
    """The sizes of its archives."""
    return ", ".join(dict.fromkeys(_size(archive) for archive in data_set.archives))


def _size(archive: Archive) -> str:
    return f"about {bytes_text(archive.about_bytes)}" if archive.about_bytes else bytes_text(archive.size_bytes)


def _brought(archive: Archive) -> str:
    return "<br>".join(f"<{url}>" for url in archive.remote.urls)


def splits_text(data_set: DataSet) -> str:
    """`28,000 train, 2,000 test`; empty where that depends on what is brought."""
    return ", ".join(f"{count:,} {split}" for split, count in data_set.splits)


def _table(heading: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [heading, ("---",) * len(heading), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


if __name__ == "__main__":
    if sys.argv[1:] == ["--table"]:
        print(short_table(), end="")
    elif len(sys.argv) == 2 and not sys.argv[1].startswith("-"):
        write(Path(sys.argv[1]))
    else:
        sys.exit("usage: python -m pennet.data.sets.card (FOLDER | --table)")
