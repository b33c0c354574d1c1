"""Places2 against tars in the owners' layout: repeated basenames, two levels of classes, grey pictures, lists."""

import tracemalloc
from pathlib import Path

import pytest

from pennet.data.sets import places2
from pennet.data.sets.places2 import PLACES2
from pennet.data.sets.spec import Remembered
from pennet.errors import UserError
from tests.data.sets.stand_ins import JPEG, jpeg, write_tar

TRAIN = {
    "/a/airfield/00000001.jpg": jpeg(1),
    "/a/alley/00000001.jpg": jpeg(2, "L"),
    "/s/swimming_pool/indoor/00000001.jpg": jpeg(3),
    "/s/swimming_pool/outdoor/00000001.jpg": jpeg(4),
}
VAL = {f"Places365_val_{n:08d}.jpg": jpeg(10 + n) for n in (1, 2)}
LISTS = {
    "places365_train_standard.txt": "".join(f"{name} {label}\n" for label, name in enumerate(TRAIN)).encode(),
    "places365_val.txt": "".join(f"{name} 0\n" for name in VAL).encode(),
    "categories_places365.txt": b"/a/airfield 0\n",
}


def tars(folder: Path, train: str = "data_256", val: str = "val_256", without: str = "") -> list[Path]:
    pictures = {f"{train}{name}": content for name, content in TRAIN.items()}
    pictures.pop(without, None)
    return [
        write_tar(folder / "train_256_places365standard.tar", pictures),
        write_tar(folder / "val_256.tar", {f"{val}/{name}": content for name, content in VAL.items()}),
        write_tar(folder / "filelist_places365-standard.tar", LISTS),
    ]


def test_repeated_basenames_stay_apart_and_grey_pictures_in(tmp_path: Path) -> None:
    items = {item.key: item for item in PLACES2.read(tars(tmp_path)).items()}
    train = {f"data_256{name}": content for name, content in TRAIN.items()}
    val = {f"val_256/{name}": content for name, content in VAL.items()}
    assert {key: item.content for key, item in items.items()} == train | val
    assert {key: item.split for key, item in items.items()} == dict.fromkeys(train, "train") | dict.fromkeys(val, "test")


def test_a_renamed_folder_changes_no_key(tmp_path: Path) -> None:
    paths = [tmp_path / name for name in ("a", "b")]
    for path in paths:
        path.mkdir()
    renamed = PLACES2.read(tars(paths[0], train="places/data_256_standard"))
    assert {item.key for item in renamed.items()} == {item.key for item in PLACES2.read(tars(paths[1])).items()}


def test_the_large_pictures_have_keys_of_their_own(tmp_path: Path) -> None:
    keys = {item.key for item in PLACES2.read(tars(tmp_path, "data_large", "val_large")).items()}
    assert {key.partition("/")[0] for key in keys} == {"data_large", "val_large"}


def test_what_the_official_list_names_must_be_there(tmp_path: Path) -> None:
    cut = tars(tmp_path, without="data_256/a/alley/00000001.jpg")
    with pytest.raises(UserError, match=r", train: 1 of 4 pictures are missing: /a/alley/00000001\.jpg; give"):
        PLACES2.read(cut)


def test_the_validation_tar_must_be_there(tmp_path: Path) -> None:
    train, _, lists = tars(tmp_path)
    with pytest.raises(UserError, match=r", test: 2 of 2 pictures are missing: Places365_val_00000001\.jpg, "):
        PLACES2.read([train, lists])


def test_the_lists_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"places365_train_standard\.txt is missing; give .*filelist_places365"):
        PLACES2.read(tars(tmp_path)[:2])


def test_another_data_set_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no file such as data_256/a/airfield/00000001\.jpg, but base/cmp_b0001\.jpg"):
        PLACES2.read([write_tar(tmp_path / "facade.tar", {"base/cmp_b0001.jpg": JPEG})])


def test_of_a_picture_little_more_than_its_name_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """1.8 million of them: 100 bytes each are 180 MB."""
    train = [f"/{chr(97 + number % 26)}/class/{number:08d}.jpg" for number in range(20_000)]
    val = [f"Places365_val_{number:08d}.jpg" for number in range(1_000)]
    lists = {"places365_train_standard.txt": train, "places365_val.txt": val}
    contents = {name: "".join(f"{line} 0\n" for line in lines).encode() for name, lines in lists.items()}
    tar = write_tar(tmp_path / "lists.tar", contents)
    names = [f"data_256{name}" for name in train] + [f"val_256/{name}" for name in val] + list(lists)
    members = dict.fromkeys(names, tar)
    monkeypatch.setattr(places2, "listing", lambda _: members)
    tracemalloc.start()
    try:
        source = PLACES2.read([tar])
        kept, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(source.places) == len(names) - 2
    assert kept < 20 * len(names) and peak < 100 * len(names)
    assert {name: place.key for name, place in source.places.items()} == {name: name for name in names[:-2]}
    assert all(place.key is name for name, place in source.places.items())


def test_remembered_texts_are_those_that_came() -> None:
    texts = [f"a/{number}.jpg" for number in range(1000)]
    remembered = Remembered(texts[:500])
    assert [text in remembered for text in texts] == [True] * 500 + [False] * 500
    assert remembered.all_differ and not Remembered([*texts, "a/7.jpg"]).all_differ
    assert "" not in Remembered([])
