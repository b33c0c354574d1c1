"""The lines of `params.yaml` that a data set of one's own needs."""

from __future__ import annotations

import re

_ENTRY = """\
datasets: [{name}]
sources:
  {name}:
    data_set: {data_set}
    archives: [{archive}]
    sha256: [{sha256}]
    revision: ''
    accept_licence: false
    split: paper_else_seeded
    seed: 0
    test_ratio: {test_ratio:g}
    val_ratio: 0.1
overrides:
  {name}: {{prepare: {{}}, masks: {{}}, train: {{}}, recipes: {{}}, evaluate: {{}}}}
"""


def entry(name: str, data_set: str, archive: str, sha256: str = "", test_ratio: float = 0.1) -> str:
    """YAML to paste.

    Args:
        name: what the data set is called in `params.yaml`.
        data_set: `packed` or `folder`.
        archive: its path.
        sha256: of the archive; empty if it is not known.
        test_ratio: share that a seeded split tests with.
    """
    quoted = "'" + archive.replace("'", "''") + "'"
    return _ENTRY.format(name=name, data_set=data_set, archive=quoted, sha256=sha256, test_ratio=test_ratio)


def data_set_name(text: str) -> str:
    """The nearest name that `params.yaml` takes."""
    name = re.sub("[^a-z0-9]+", "_", text.lower()).strip("_")
    return name if name[:1].isalpha() else f"photos_{name}".rstrip("_")
