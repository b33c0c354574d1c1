"""Puts the results of the last `dvc repro` into README.md, between its markers: `make readme`."""

from __future__ import annotations

import itertools
import sys
from pathlib import Path

from pennet.errors import UserError
from pipelines import layout
from pipelines.params import load_params

README = Path("README.md")
BEGIN, END = "<!-- results: made by `make readme` -->\n", "<!-- end of results -->\n"


def results(datasets: list[str]) -> str:
    """Of every data set's comparison the budget, the first table, the cost of the trainings and the pictures."""
    parts = []
    for dataset in datasets:
        folder = layout.comparison_dir(dataset)
        text = (folder / "comparison.md").read_text()
        parts.append(f"**{dataset}** ([all figures]({(folder / 'comparison.md').as_posix()}))")
        parts += [line for line in text.splitlines() if line.startswith("Budget: ")]
        chapters = {chapter.partition("\n")[0]: chapter for chapter in text.split("\n## ")}
        parts += [_first_table(chapters[name]) for name in ("All images", "Training budget") if name in chapters]
        parts.append(f"![{dataset}: input, every method, ground truth]({(folder / 'side_by_side.png').as_posix()})")
    return "\n\n".join(parts) + "\n"


def _first_table(chapter: str) -> str:
    lines = chapter.splitlines()
    start = next(place for place, line in enumerate(lines) if line.startswith("|"))
    return "\n".join(itertools.takewhile(lambda line: line.startswith("|"), lines[start:]))


def with_results(text: str, datasets: list[str]) -> str:
    """The README's text with fresh results between its markers.

    Raises:
        UserError: the markers are gone.
    """
    if text.count(BEGIN) != 1 or text.count(END) != 1:
        raise UserError(f"{README}: needs the markers {BEGIN.strip()} and {END.strip()} once each")
    before, rest = text.split(BEGIN)
    return before + BEGIN + "\n" + results(datasets) + "\n" + END + rest.split(END)[1]


def main() -> None:
    from pennet.atomic import write_text

    try:
        write_text(README, with_results(README.read_text(), load_params().datasets))
    except (UserError, OSError) as error:
        sys.exit(f"readme: {error}")


if __name__ == "__main__":
    main()
