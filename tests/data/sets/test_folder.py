"""People's own pictures, as people keep them."""

import re
import unicodedata
from pathlib import Path

import pytest

from pennet.data.commands.survey import survey
from pennet.data.sets.folder import FOLDER, places_of
from pennet.data.sets.spec import Source
from pennet.data.sets.splits import assign
from pennet.errors import UserError
from tests.data.sets.stand_ins import JPEG, jpeg, write_folder, write_tar, write_zip

PHOTOS = {
    "day 1/IMG_0001.JPG": jpeg(1),
    "day 2/IMG_0001.JPG": jpeg(2),
    "day 2/évening/IMG_0001.jpeg": jpeg(3),
    "日本/橋.png": jpeg(4),
    "top.webp": jpeg(5),
}
BESIDE = {"notes.txt": b"x", ".DS_Store": b"x", "__MACOSX/day 1/._IMG_0001.JPG": b"x", "day 1/._IMG_0001.JPG": b"x"}


@pytest.mark.parametrize("write", [write_folder, write_zip, write_tar])
def test_nested_repeated_and_unicode_names_are_kept_whole(tmp_path: Path, write) -> None:  # type: ignore[no-untyped-def]
    source = FOLDER.read([write(tmp_path / "photos", PHOTOS | BESIDE)])
    assert {item.key: item.content for item in source.items()} == PHOTOS
    assert {item.key: item.group for item in source.items()} == {
        "day 1/IMG_0001.JPG": "day 1",
        "day 2/IMG_0001.JPG": "day 2",
        "day 2/évening/IMG_0001.jpeg": "day 2/évening",
        "日本/橋.png": "日本",
        "top.webp": "top.webp",
    }


def test_macos_and_linux_spell_a_name_to_the_same_key() -> None:
    spelled = unicodedata.normalize("NFD", "été/é.jpg")
    assert spelled != "été/é.jpg"
    assert places_of([spelled])[spelled].key == places_of(["été/é.jpg"])["été/é.jpg"].key


def test_two_files_of_one_key_are_refused(tmp_path: Path) -> None:
    both = write_zip(tmp_path / "both.zip", {unicodedata.normalize(form, "é.jpg"): JPEG for form in ("NFC", "NFD")})
    with pytest.raises(UserError, match=r"would both be é\.jpg; remove one"):
        FOLDER.read([both])


def test_a_folder_around_everything_makes_no_group() -> None:
    places = places_of([f"my photos/2026/{n}.jpg" for n in range(3)])
    assert {place.group for place in places.values()} == {f"{n}.jpg" for n in range(3)}


def test_an_archive_with_a_folder_on_top_is_divided_like_the_folder(tmp_path: Path) -> None:
    files = {f"scene {n % 12}/{n}.jpg": jpeg(n) for n in range(40)} | {f"{n}.jpg": jpeg(n) for n in range(40, 60)}
    given = {
        "": write_folder(tmp_path / "photos", files),
        "photos/": write_tar(tmp_path / "photos.tar", {f"photos/{name}": content for name, content in files.items()}),
        "a/b/": write_zip(tmp_path / "photos.zip", {f"a/b/{name}": content for name, content in files.items()}),
    }
    divided = []
    for top, path in given.items():
        split = assign(FOLDER, FOLDER.read([path]), None, seed=3, test_ratio=0.3, val_ratio=0.3)
        assert set(split.of) == {top + name for name in files}  # keys stay whole
        divided.append({key.removeprefix(top): part for key, part in split.of.items()})
    assert divided[0] == divided[1] == divided[2]


@pytest.mark.parametrize(("name", "why"), [("a\\b.jpg", "has a backslash in its path"), ("C:a.jpg", "begins like a drive")])
def test_a_name_of_ones_own_that_cannot_be_kept_is_to_be_changed(tmp_path: Path, name: str, why: str) -> None:
    folder = write_folder(tmp_path / "photos", PHOTOS | {name: JPEG})
    with pytest.raises(UserError, match=rf"photos: member {re.escape(repr(name))} {why}.*; rename it"):
        FOLDER.read([folder])
    assert [problem for problem in survey(folder).problems if why in problem and name in problem]
    assert len(FOLDER.read([write_folder(tmp_path / "others", PHOTOS | {f"{name}.md": b"x"})]).places) == len(PHOTOS)


def test_training_and_validation_alone_are_said_to_test_with_the_latter() -> None:
    places = places_of([*(f"train/{n}.jpg" for n in range(9)), "val/a.jpg"])
    split = assign(FOLDER, Source(places, lambda: iter(()), "the folders' own"), None, seed=0, test_ratio=0.1, val_ratio=0.2)
    assert split.origin == "the folders' own, its validation images as test"
    assert split.of["val/a.jpg"] == "test"


def test_folders_named_after_splits_are_splits() -> None:
    places = places_of(["set/Train/a.jpg", "set/Train/b.jpg", "set/validation/a.jpg", "set/test/scene/a.jpg"])
    assert {name: (place.split, place.group) for name, place in places.items()} == {
        "set/Train/a.jpg": ("train", "Train/a.jpg"),
        "set/Train/b.jpg": ("train", "Train/b.jpg"),
        "set/validation/a.jpg": ("val", "validation/a.jpg"),
        "set/test/scene/a.jpg": ("test", "test/scene"),
    }


@pytest.mark.parametrize("second", ["test", "val"])
@pytest.mark.parametrize("other", ["other/c.jpg", "c.jpg"])
def test_pictures_outside_of_the_splits_are_named(other: str, second: str) -> None:
    message = f"1 pictures lie outside of the folders that are named after splits: {other}; move or remove them"
    with pytest.raises(UserError, match=message):
        places_of(["train/a.jpg", f"{second}/b.jpg", other])


def test_one_folder_named_after_a_split_is_a_folder() -> None:
    places = places_of(["train/a.jpg", "other/b.jpg"])
    assert {place.split for place in places.values()} == {None}


def test_a_folder_without_pictures_is_named_with_what_it_holds(tmp_path: Path) -> None:
    files = {"notes.txt": b"x", "a.gif": b"x", "b/c.GIF": b"x", "b/d.HEIC": b"x"}
    for given in (write_folder(tmp_path / "none", files), write_zip(tmp_path / "none.zip", files)):
        left_out = r"4 of other types \(2 \.gif, 1 \.heic, 1 \.txt\): a\.gif, b/c\.GIF, b/d\.HEIC and 1 more"
        with pytest.raises(UserError, match=rf"holds no picture; left out: {left_out}; give a folder .* \(\.avif, "):
            FOLDER.read([given])
    with pytest.raises(UserError, match="empty: holds no picture; left out: nothing; give"):
        FOLDER.read([write_folder(tmp_path / "empty", {"b/._d.jpg": b"x"})])


def test_what_is_left_out_is_counted_and_named(tmp_path: Path) -> None:
    source = FOLDER.read([write_tar(tmp_path / "a.tar", PHOTOS | BESIDE | {"top_mask.png": b"x", "day 1/a.gif": b"x"})])
    masks, others = "1 masks of pictures beside them: top_mask.png", "2 of other types (1 .gif, 1 .txt)"
    assert source.left_out == f"{masks}; {others}: day 1/a.gif, notes.txt"
    assert FOLDER.read([write_zip(tmp_path / "a.zip", PHOTOS)]).left_out == ""


def test_what_is_no_picture_stops_nothing(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "photos", PHOTOS)
    (folder / "latest").symlink_to("nowhere")
    assert len(FOLDER.read([folder]).places) == len(PHOTOS)


def test_masks_beside_pictures_are_no_pictures() -> None:
    names = ["a/1.jpg", "a/1_mask.png", "a/1_mask001.png", "b/1_mask.png", "face_mask.jpg", "a/face.jpg"]
    assert set(places_of(names)) == {"a/1.jpg", "b/1_mask.png", "face_mask.jpg", "a/face.jpg"}


def test_two_archives_with_one_name_are_told_how_to_keep_both(tmp_path: Path) -> None:
    paths = [write_zip(tmp_path / name, {"IMG_0000.jpg": name.encode()}) for name in ("day1.zip", "day2.zip")]
    with pytest.raises(
        UserError, match=r"IMG_0000.jpg: is in .*day1.zip and again in .*day2.zip; .* different ones into fold"
    ):
        FOLDER.read(paths)
