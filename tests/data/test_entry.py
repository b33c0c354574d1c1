"""The lines for params.yaml, read by a YAML library that the code under test does not know."""

from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from pennet.data.commands.entry import Entry, data_set_name
from pennet.errors import UserError
from tests.project import ROOT

MINE = Entry("mine", "folder", "holiday photos/été 'n' more", image_size_px=128)
SOURCE = {
    "data_set": "folder",
    "archives": ["holiday photos/été 'n' more"],
    "sha256": [],
    "revision": "",
    "accept_licence": False,
    "split": "seeded",
    "seed": 0,
    "test_ratio": 0.1,
    "val_ratio": 0.1,
}
OVERRIDES = {"prepare": {"image_size_px": 128}, "masks": {}, "train": {}, "recipes": {}, "evaluate": {}}


def parsed(text: str) -> Any:
    return YAML(typ="safe", pure=True).load(text)


def test_printed_lines_are_the_sections() -> None:
    assert parsed(MINE.text()) == {"datasets": ["mine"], "sources": {"mine": SOURCE}, "overrides": {"mine": OVERRIDES}}
    packed = parsed(Entry("a", "packed", "a.zip", "1" * 64).text())
    assert packed["sources"]["a"]["sha256"] == ["1" * 64] and packed["overrides"]["a"]["prepare"] == {}


LAYOUTS = {
    "as committed": (ROOT / "params.yaml").read_text(),
    "no overrides": "datasets: [a]\nsources:\n  a:\n    seed: 1\n\n# about masks\nmasks:\n  seed: 7\n",
    "empty sections": "datasets: []  # none\nsources: {}  # yet\noverrides: {}\nmasks: {seed: 7}\n",
    "a list of lines": "datasets:\n  - a\n  - b  # second\nsources:\n    a: {seed: 1}\n    # last\n\noverrides:\n\n# end\n",
    "items at the margin": "sources:\n a: {seed: 1}\n\n b:\n   seed: 2 # 2\n   # more\noverrides:\n a: {}\ndatasets:\n- a\n",
    "no newline at the end": "datasets: [ a, b, ]\noverrides:\n  a: {}\nsources:\n  'a': {seed: 1}",
    "Windows": "# all\r\ndatasets: [a]\r\nsources:\r\n  a:\r\n    seed: 1\r\noverrides:\r\n  a: {}\r\n",
}


@pytest.mark.parametrize("text", LAYOUTS.values(), ids=LAYOUTS)
def test_added_lines_change_nothing_else(tmp_path: Path, text: str) -> None:
    path = tmp_path / "params.yaml"
    path.write_bytes(text.encode())
    added = MINE.added_to(path)
    before, after = parsed(text), parsed(added)
    assert after["datasets"] == [*before["datasets"], "mine"]
    assert after["sources"] == (before["sources"] or {}) | {"mine": SOURCE}
    assert after["overrides"] == (before.get("overrides") or {}) | {"mine": OVERRIDES}
    sections = ("datasets", "sources", "overrides")
    assert {k: v for k, v in after.items() if k not in sections} == {k: v for k, v in before.items() if k not in sections}
    changed = [line for line in text.splitlines() if line not in added.splitlines()]
    assert all(line.startswith(sections) for line in changed)
    assert ("\r\n" in text) == ("\r\n" in added) and added.count("\n") == len(added.splitlines())
    path.write_bytes(added.encode())
    with pytest.raises(UserError, match=r"params\.yaml: sources: has an entry 'mine' already; choose another name"):
        MINE.added_to(path)


@pytest.mark.parametrize("listed", ["[a, mine]", "['mine', a]", "\n  - a\n  - mine", '\n- "mine"  # soon\n- a'])
def test_a_name_that_is_listed_already_is_listed_once(tmp_path: Path, listed: str) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(f"datasets: {listed}\nsources:\n  a: {{}}\n")
    assert sorted(parsed(MINE.added_to(path))["datasets"]) == ["a", "mine"]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("datasets: [a]\n", "`sources:` begins 0 lines"),
        ("datasets: [a]\nsources: {a: {seed: 1}}\n", "`sources` in line 2 is not laid out in lines below it"),
        ("datasets: a\nsources:\n  a: {}\n", "`datasets` in line 1 is no list"),
        ("datasets: [a]\nsources:\n  'mine': {}\n", "sources: has an entry 'mine' already"),
        ("datasets: [a]\nsources:\n  a: {}\noverrides:\n  mine: {}\n", "overrides: has an entry 'mine' already"),
        ("datasets: [a]\nsources:\n  a: {}\n'overrides':\n  a: {}\n", "`overrides` in line 4 is not laid out"),
        ("datasets: [\xe9]\n", "not UTF-8"),
    ],
)
def test_file_that_cannot_be_added_to_is_refused_by_name(tmp_path: Path, text: str, problem: str) -> None:
    (tmp_path / "odd.yaml").write_text(text, encoding="latin-1")
    with pytest.raises(UserError, match=rf"odd\.yaml: {problem}"):
        MINE.added_to(tmp_path / "odd.yaml")


@pytest.mark.parametrize("name", ["Mine", "1st", "my set", "", "a-b", "a\n"])
def test_name_that_params_yaml_does_not_take_is_refused(name: str) -> None:
    with pytest.raises(UserError, match="must be small letters, digits and _"):
        Entry(name, "folder", "photos")


@pytest.mark.parametrize("path", ["a\nb", "a\tb", "caf\udce9"])
def test_path_that_cannot_be_written_is_refused(path: str) -> None:
    with pytest.raises(UserError, match="cannot be written; rename it"):
        Entry("mine", "folder", path)


def test_nearest_name() -> None:
    assert [data_set_name(text) for text in ("My Photos (2)", "2026", "日本")] == ["my_photos_2", "photos_2026", "photos"]
