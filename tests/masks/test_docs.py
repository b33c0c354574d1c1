"""docs/masks.md has a row for each kind, and no other."""

import re

from pennet.masks import KINDS
from tests.project import ROOT


def test_every_kind_has_its_row() -> None:
    text = (ROOT / "docs/masks.md").read_text()
    section = text.partition("## Kinds")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| `(\w+)` \|", section, flags=re.MULTILINE)
    assert sorted(rows) == sorted(kind.name for kind in KINDS)
