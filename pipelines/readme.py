"""Puts the results of the last `dvc repro` into README.md and the list of metrics into docs/metrics.md: `make readme`."""

from __future__ import annotations

import itertools
import sys
from pathlib import Path

from pennet.errors import UserError
from pipelines import layout
from pipelines.params import load_params

README, METRICS = Path("README.md"), Path("docs/metrics.md")
BEGIN, END = "<!-- results: made by `make readme` -->\n", "<!-- end of results -->\n"
BEGIN_INDEX, END_INDEX = "<!-- index: made by `make readme` -->\n", "<!-- end of index -->\n"


def results(datasets: list[str]) -> str:
    """Of every data set's comparison the split, the budget, the first table, the cost of the trainings and the pictures."""
    parts = []
    for dataset in datasets:
        folder = layout.comparison_dir(dataset)
        text = (folder / "comparison.md").read_text()
        parts.append(f"**{dataset}** ([all figures]({(folder / 'comparison.md').as_posix()}))")
        parts += [line for line in text.splitlines() if line.startswith(("Split: ", "Budget: "))]
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
    return _between(text, README, BEGIN, END, results(datasets))


def with_index(text: str) -> str:
    """The text of docs/metrics.md with the table of all declared metrics between its markers.

    Raises:
        UserError: the markers are gone.
    """
    from pennet.metrics.catalogue import index

    return _between(text, METRICS, BEGIN_INDEX, END_INDEX, index())


def _between(text: str, path: Path, begin: str, end: str, fresh: str) -> str:
    if text.count(begin) != 1 or text.count(end) != 1:
        raise UserError(f"{path}: needs the markers {begin.strip()} and {end.strip()} once each")
    before, rest = text.split(begin)
    return before + begin + "\n" + fresh + "\n" + end + rest.split(end)[1]


def main() -> None:
    from pennet.atomic import write_text

    try:
        write_text(METRICS, with_index(METRICS.read_text()))
        write_text(README, with_results(README.read_text(), load_params().datasets))
    except (UserError, OSError) as error:
        sys.exit(f"readme: {error}")


if __name__ == "__main__":
    main()
