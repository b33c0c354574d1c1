"""The prepared pictures of a data set, and what each is called in later stages."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import takewhile
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from pipelines import layout

if TYPE_CHECKING:
    from pennet.data.pictures.shards import Shards


def prepared_pictures(dataset: str, split: str) -> Shards:
    """The pictures of a split, read one by one from the disk."""
    from pennet.data.pictures.shards import Shards

    return Shards(layout.prepared_dir(dataset), split)


def card(dataset: str) -> dict[str, Any]:
    """What stage `prepare` says of a data set: whose split it is, how many pictures each has, what was left out."""
    import json

    values: dict[str, Any] = json.loads((layout.prepared_dir(dataset) / "card.json").read_text(encoding="utf-8"))
    return values


def names(keys: Sequence[str]) -> list[str]:
    """What pictures are called in files and tables: their keys without endings, and without the folders that all share.

    Those that would be called the same keep their endings: `a.jpg` beside `a.png`.
    """
    folders = [key.split("/")[:-1] for key in keys]
    shared = sum(1 for _ in takewhile(lambda level: len(set(level)) == 1, zip(*folders)))  # noqa: B905, up to the shortest
    inside = [PurePosixPath(*key.split("/")[shared:]) for key in keys]
    stems = [path.with_suffix("") for path in inside]
    count = Counter(stems)
    called = [str(path if count[stem] > 1 else stem) for path, stem in zip(inside, stems, strict=True)]
    return called if len(set(called)) == len(called) else [str(path) for path in inside]  # `a.jpg.png` may be there, too
