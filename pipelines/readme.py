"""Puts the results of the last `dvc repro` into README.md, between its markers: `make readme`."""

from __future__ import annotations

import sys
from pathlib import Path

from pipelines import layout
from pipelines.params import load_params

README = Path("README.md")
BEGIN, END = "<!-- results: made by `make readme` -->\n", "<!-- end of results -->\n"


def results(datasets: list[str]) -> str:
    """The first table of every data set's comparison, and its picture."""
    parts = []
    for dataset in datasets:
        folder = layout.comparison_dir(dataset)
        sections = (folder / "comparison.md").read_text().split("\n## ")
        table = "\n".join(line for line in sections[1].split("\n\nDifference")[0].splitlines() if line.startswith("|"))
        picture = f"![{dataset}: input, every method, ground truth]({(folder / 'side_by_side.png').as_posix()})"
        parts += [f"**{dataset}** ([all figures]({(folder / 'comparison.md').as_posix()}))", table, picture]
    return "\n\n".join(parts) + "\n"


def with_results(text: str, datasets: list[str]) -> str:
    """The README's text with fresh results between its markers.

    Raises:
        ValueError: the markers are gone.
    """
    if text.count(BEGIN) != 1 or text.count(END) != 1:
        raise ValueError(f"{README}: needs the markers {BEGIN.strip()} and {END.strip()} once each")
    before, rest = text.split(BEGIN)
    return before + BEGIN + "\n" + results(datasets) + "\n" + END + rest.split(END)[1]


def main() -> None:
    from pennet.atomic import write_text

    try:
        write_text(README, with_results(README.read_text(), load_params().datasets))
    except (ValueError, OSError) as error:
        sys.exit(f"readme: {error}")


if __name__ == "__main__":
    main()
