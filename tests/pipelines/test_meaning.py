"""What counts as another code: not a comment, a docstring or a line break, but any other number, name or import."""

from pathlib import Path

import pytest

from pipelines import meaning

SOURCE = '''"""What the module is for."""

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

SCALE = 2.0
"""What the number is for."""


def area(radius: float) -> float:
    """Of a circle."""
    return SCALE * math.pi * radius  # not squared
'''


@pytest.fixture
def digest_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(meaning, "ROOT", tmp_path)

    def digest(text: str) -> str:
        (tmp_path / "module.py").write_text(text)
        for cached in (meaning.meaning, meaning._tree, meaning._imported_files):
            cached.cache_clear()
        return meaning.meaning("module.py")

    yield digest
    for cached in (meaning.meaning, meaning._tree, meaning._imported_files):
        cached.cache_clear()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("# not squared", "# squared by the caller"),
        ('"""Of a circle."""', '"""Of a circle, in square metres."""'),
        ('    """Of a circle."""\n', ""),
        ('"""What the module is for."""', '"""Circles."""'),
        ('"""What the number is for."""', ""),
        ("SCALE * math.pi * radius", "(\n        SCALE * math.pi\n        * radius)"),
        ("    from pathlib import Path", "    from pathlib import PurePath"),
    ],
)
def test_words_for_people_do_not_change_the_meaning(digest_of, old: str, new: str) -> None:
    assert old in SOURCE
    assert digest_of(SOURCE.replace(old, new)) == digest_of(SOURCE)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("2.0", "2.5"),
        ("2.0", "2"),
        ("* radius", "/ radius"),
        ("math.pi", "math.e"),
        ("import math", "import cmath as math"),
        ("return SCALE", 'print("area"); return SCALE'),
        ("radius: float)", "radius: float = 1.0)"),
    ],
)
def test_any_other_change_changes_the_meaning(digest_of, old: str, new: str) -> None:
    assert digest_of(SOURCE.replace(old, new, 1)) != digest_of(SOURCE)


def test_reachable_follows_imports_inside_functions_and_leaves_carriers_out() -> None:
    found = meaning.reachable(["pipelines/train.py"])
    assert "pennet/training/loop.py" in found  # imported by a function of the stage
    assert not any(path.startswith(meaning.CARRIERS) for path in found)


def test_every_carrier_exists() -> None:
    assert [carrier for carrier in meaning.CARRIERS if not (meaning.ROOT / carrier).exists()] == []
