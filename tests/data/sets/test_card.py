"""The committed cards are those that the declarations make, and say what must be known before a download."""

import subprocess
import sys
from pathlib import Path

import pytest

from pennet.data.sets import DATA_SETS, data_sets, find
from pennet.data.sets.card import bytes_text, card, index, write
from pennet.errors import UserError
from tests.project import ROOT

OF_THE_PAPER = ("facade", "dtd", "celebahq", "places2")


def test_committed_pages_are_what_the_command_writes(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-m", "pennet.data.sets.card", str(tmp_path)], cwd=ROOT, check=True, timeout=60)
    written = {page.name: page.read_text() for page in tmp_path.iterdir()}
    committed = {page.name: page.read_text() for page in (ROOT / "docs/data").iterdir()}
    assert committed == written, "run `python -m pennet.data.sets.card docs/data`"
    assert len(written) == len(DATA_SETS) + 1


@pytest.mark.parametrize("name", OF_THE_PAPER)
def test_a_card_names_what_a_download_brings_and_asks(name: str) -> None:
    data_set, page = find(name), card(find(name))
    assert data_set.must_accept and "must be accepted before the download" in page
    assert data_set.licence in page and data_set.citation in page and data_set.homepage in page
    assert data_set.citation.count("{") == data_set.citation.count("}")
    for archive in data_set.archives:
        assert archive.file in page
    for note in (*data_set.known, *data_set.traps):
        assert f"\n- {note}\n" in page


def test_cards_give_the_papers_numbers() -> None:
    assert "506 train, 100 test" in card(find("facade"))
    assert "4,512 train, 1,128 test" in card(find("dtd"))
    assert "28,000 train, 2,000 test" in card(find("celebahq"))
    assert "1,803,460 train, 36,500 test" in card(find("places2"))
    assert "26.1 GB" in card(find("places2"))


@pytest.mark.parametrize("name", DATA_SETS)
def test_sizes_of_splits_add_up(name: str) -> None:
    data_set = find(name)
    assert data_set.name == name
    assert sum(count for _, count in data_set.splits) == (data_set.num_images or 0)


def test_index_has_a_row_and_a_link_for_every_data_set() -> None:
    assert [line.split("`")[1] for line in index().splitlines() if line.startswith("| [")] == list(data_sets())


def test_a_licence_is_asked_for_before_anything_is_downloaded() -> None:
    with pytest.raises(
        UserError, match=r"celebahq: read its licence at .* and accept it first .*accept_licence.*: Research"
    ):
        find("celebahq").check_accepted(False)
    find("celebahq").check_accepted(True)
    find("terrain").check_accepted(False)


def test_an_unknown_name_is_answered_with_the_known_ones() -> None:
    with pytest.raises(UserError, match="data set 'imagenet' is not known; known are terrain, facade, dtd"):
        find("imagenet")
    for name in ("celeba-hq", "CelebAHQ", "places"):
        with pytest.raises(UserError, match=r"; do you mean (celebahq|places2)\?$"):
            find(name)


def test_bytes_are_given_in_powers_of_ten() -> None:
    assert [bytes_text(n) for n in (26_103_685_120, 625_239_812, 10_332_824, 999, 0, None)] == [
        "26.1 GB",
        "625 MB",
        "10.3 MB",
        "999 B",
        "0 B",
        "not published",
    ]


def test_pages_are_written_whole_into_a_new_folder(tmp_path: Path) -> None:
    write(tmp_path / "new")
    assert (tmp_path / "new" / "README.md").read_text() == index()


def test_short_table_has_a_line_for_every_data_set_and_its_page() -> None:
    command = [sys.executable, "-m", "pennet.data.sets.card", "--table"]
    printed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True, timeout=60).stdout
    heading, _, *rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in printed.splitlines()]
    assert heading == ["name", "pictures", "splits", "download", "licence", "page"]
    assert [row[0].strip("`") for row in rows] == list(data_sets())
    cells = {row[0].strip("`"): row for row in rows}
    assert cells["terrain"][1:5] == ["281", "209 train, 72 test", "10.3 MB", "CC BY-SA 3.0"]
    assert cells["places2"][4] == "Images for non-commercial research and teaching only (to accept)"
    for name, row in cells.items():
        assert (ROOT / row[5].partition("(")[2].rstrip(")")).name == f"{name}.md"


def test_command_with_other_arguments_says_which_there_are(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "pennet.data.sets.card", "--tables"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1 and "usage: " in done.stderr
    assert not (ROOT / "--tables").exists()
