"""People's own pictures, as people keep them."""

import unicodedata
from pathlib import Path

import pytest

from pennet.data.sets.folder import FOLDER, places_of
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
    assert {place.group for place in places.values()} == set(places)


def test_folders_named_after_splits_are_splits() -> None:
    places = places_of(["set/Train/a.jpg", "set/Train/b.jpg", "set/validation/a.jpg", "set/test/scene/a.jpg"])
    assert {name: (place.split, place.group) for name, place in places.items()} == {
        "set/Train/a.jpg": ("train", "set/Train/a.jpg"),
        "set/Train/b.jpg": ("train", "set/Train/b.jpg"),
        "set/validation/a.jpg": ("val", "set/validation/a.jpg"),
        "set/test/scene/a.jpg": ("test", "set/test/scene"),
    }


@pytest.mark.parametrize("other", ["other/c.jpg", "c.jpg"])
def test_pictures_outside_of_the_splits_are_named(other: str) -> None:
    message = f"1 pictures lie outside of the folders that are named after splits: {other}; move or remove them"
    with pytest.raises(UserError, match=message):
        places_of(["train/a.jpg", "test/b.jpg", other])


def test_one_folder_named_after_a_split_is_a_folder() -> None:
    places = places_of(["train/a.jpg", "other/b.jpg"])
    assert {place.split for place in places.values()} == {None}


def test_a_folder_without_pictures_is_named_with_what_it_holds(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"empty: holds no picture, but notes\.txt; give a folder or archive of photos"):
        FOLDER.read([write_folder(tmp_path / "empty", {"notes.txt": b"x"})])


def test_what_is_no_picture_stops_nothing(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "photos", PHOTOS)
    (folder / "latest").symlink_to("nowhere")
    assert len(FOLDER.read([folder]).places) == len(PHOTOS)


def test_masks_beside_pictures_are_no_pictures() -> None:
    names = ["a/1.jpg", "a/1_mask.png", "a/1_mask001.png", "b/1_mask.png", "face_mask.jpg", "a/face.jpg"]
    assert set(places_of(names)) == {"a/1.jpg", "b/1_mask.png", "face_mask.jpg", "a/face.jpg"}
