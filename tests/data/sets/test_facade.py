"""CMP Facade against archives in the owners' layout: photos, labels and XML side by side."""

from pathlib import Path

import pytest

from pennet.data.sets.facade import FACADE, key_of
from pennet.errors import UserError
from tests.data.sets.stand_ins import JPEG, LABELS, jpeg, write_folder, write_zip

TEXTS = {"label_names.txt": b"0 background", "readme.txt": b"read me"}


def part(name: str, mark: str, numbers: range) -> dict[str, bytes]:
    files = dict(TEXTS)
    for n in numbers:
        stem = f"{name}/cmp_{mark}{n:04d}"
        files |= {f"{stem}.jpg": jpeg(n), f"{stem}.png": LABELS, f"{stem}.xml": b"<object>"}
    return files


@pytest.fixture(scope="module")
def archives(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("facade")
    return [
        write_zip(folder / "CMP_facade_DB_base.zip", part("base", "b", range(1, 379))),
        write_zip(folder / "CMP_facade_DB_extended.zip", part("extended", "x", range(1, 229))),
    ]


def test_the_606_photos_are_read_without_their_labels(archives: list[Path]) -> None:
    items = {item.key: item for item in FACADE.read(archives).items()}
    assert len(items) == 606 == FACADE.num_images
    assert {item.content[:3] for item in items.values()} == {b"\xff\xd8\xff"}
    assert items["extended/cmp_x0006.jpg"].content == jpeg(6)
    assert {(item.key, None) for item in items.values()} == {(item.group, item.split) for item in items.values()}


def test_a_source_can_be_read_again(archives: list[Path]) -> None:
    source = FACADE.read(archives)
    assert [item.key for item in source.items()] == [item.key for item in source.items()]


def test_unpacked_photos_keep_their_keys_wherever_they_lie(archives: list[Path], tmp_path: Path) -> None:
    photos = {item.key: item.content for item in FACADE.read(archives).items()}
    folder = write_folder(tmp_path / "CMP", {f"unpacked/{key}": content for key, content in photos.items()})
    assert {item.key: item.content for item in FACADE.read([folder]).items()} == photos


def test_missing_photos_are_counted_and_named(archives: list[Path], tmp_path: Path) -> None:
    files = part("extended", "x", range(1, 227))
    del files["extended/cmp_x0007.jpg"]
    cut = write_zip(tmp_path / "CMP_facade_DB_extended.zip", files)
    names = r"extended/cmp_x0007\.jpg, extended/cmp_x0227\.jpg, extended/cmp_x0228\.jpg; give both archives"
    with pytest.raises(UserError, match=f"^CMP Facade: 3 of 606 pictures are missing: {names}"):
        FACADE.read([archives[0], cut])


def test_one_archive_alone_lacks_the_others_photos(archives: list[Path]) -> None:
    with pytest.raises(UserError, match=r"228 of 606 pictures are missing: extended/cmp_x0001\.jpg, .* and 225 more"):
        FACADE.read(archives[:1])


def test_an_archive_given_twice_is_refused(archives: list[Path]) -> None:
    with pytest.raises(UserError, match=r"cmp_b0001\..*CMP_facade_DB_base\.zip and again in .*CMP_facade_DB_base\.zip"):
        FACADE.read([archives[0], archives[0]])


def test_another_data_set_is_refused_by_what_it_holds(tmp_path: Path) -> None:
    wrong = write_zip(tmp_path / "wrong.zip", {"dtd/images/banded/banded_0002.jpg": JPEG})
    with pytest.raises(UserError, match=r"no file such as base/cmp_b0001\.jpg, but dtd/images/banded/banded_0002\.jpg"):
        FACADE.read([wrong])


@pytest.mark.parametrize("name", ["facades/train/1.jpg", "facades/trainA/1_A.jpg"])
def test_renumbered_copies_are_refused_with_the_reason(tmp_path: Path, name: str) -> None:
    with pytest.raises(UserError, match="renumbered copy, to which the paper's split cannot be applied"):
        FACADE.read([write_zip(tmp_path / "facades.zip", {name: JPEG})])


def test_no_archive_is_a_sentence() -> None:
    with pytest.raises(UserError, match="no archive or folder given"):
        FACADE.read([])


def test_lines_of_the_lists_are_keys() -> None:
    assert key_of("facade/cmp_b0014.jpg") == "base/cmp_b0014.jpg"
    assert key_of("facade/cmp_x0006.jpg") == "extended/cmp_x0006.jpg"
