import errno
import io
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from pennet.cli import app
from pennet.data.commands.pack import pack
from pennet.data.pictures.picture_files import read_rgb
from pennet.data.sources.manifest import open_archive, read_manifest
from pennet.errors import UserError


def make_photos(folder: Path, count: int = 12) -> Path:
    for i in range(count):
        path = folder / ("beach" if i % 4 == 0 else ".") / f"photo{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.random.default_rng(i).integers(0, 256, (24, 32, 3), dtype=np.uint8)).save(path)
    return folder


def splits(archive: Path) -> dict[str, str]:
    with open_archive(archive) as opened:
        return {entry.name: entry.split for entry in read_manifest(opened)}


def test_pack_makes_an_archive_that_the_pipeline_reads(tmp_path: Path) -> None:
    num_train, num_test, sha256, left_out = pack(make_photos(tmp_path / "photos"), tmp_path / "mine.zip", 0.4)
    assert left_out == ""
    found = splits(tmp_path / "mine.zip")
    assert len(found) == num_train + num_test == 12
    assert list(found.values()).count("test") == num_test
    assert len({found[f"beach-photo{i}"] for i in (0, 4, 8)}) == 1  # one folder, one split
    assert len(sha256) == 64


def test_the_same_photos_give_the_same_bytes_and_new_ones_move_none(tmp_path: Path) -> None:
    first = pack(make_photos(tmp_path / "photos"), tmp_path / "a.zip", 0.4)
    assert pack(tmp_path / "photos", tmp_path / "b.zip", 0.4) == first
    pack(make_photos(tmp_path / "photos", 20), tmp_path / "c.zip", 0.4)
    assert splits(tmp_path / "a.zip").items() <= splits(tmp_path / "c.zip").items()


def test_pack_names_every_unusable_photo_and_writes_nothing(tmp_path: Path) -> None:
    photos = make_photos(tmp_path / "photos")
    (photos / "broken.jpg").write_bytes(b"not a photo")
    (photos / "beach" / "empty.TIF").touch()
    Image.new("RGBA", (8, 8)).save(photos / "clear.png")
    Image.new("RGB", (8, 8)).save(photos / "photo1.bmp")
    with pytest.raises(UserError) as caught:
        pack(photos, tmp_path / "mine.zip", 0.4)
    for part in (
        r"broken\.jpg: cannot be read as a picture",
        r"beach/empty\.TIF: cannot be read as a picture",
        r"clear\.png: has transparency",
        r"photo1\.bmp and .*photo1\.png would both be named 'photo1'; rename or remove one",
    ):
        assert re.search(rf"\n  - .*{part}", str(caught.value)), part
    assert [path.name for path in tmp_path.iterdir()] == ["photos"]


def test_pack_names_an_unreadable_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    photos, read_bytes = make_photos(tmp_path / "photos"), Path.read_bytes

    def refuse(self: Path) -> bytes:  # as without the right to read it, which root always has
        if self.name == "photo3.png":
            raise PermissionError(errno.EACCES, "Permission denied", str(self))
        return read_bytes(self)

    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(UserError, match=r"\n  - .*Permission denied: '.*photo3\.png'"):
        pack(photos, tmp_path / "mine.zip", 0.4)


def test_photos_of_one_file_name_in_two_folders_stay_apart(tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    for i in range(8):
        (photos / f"day{i}").mkdir(parents=True)
        Image.new("RGB", (8, 8), (i, i, i)).save(photos / f"day{i}" / "IMG_0000.PNG")
    pack(photos, tmp_path / "mine.zip", 0.4)
    with open_archive(tmp_path / "mine.zip") as archive:
        entries = {entry.name: entry for entry in read_manifest(archive)}
        assert sorted(entries) == [f"day{i}-IMG_0000" for i in range(8)]
        for i in range(8):
            entry = entries[f"day{i}-IMG_0000"]
            assert (read_rgb(io.BytesIO(archive.read(entry.file))) == i).all()
            assert (entry.source, entry.group) == (f"day{i}/IMG_0000.PNG", f"day{i}")


@pytest.mark.parametrize(
    ("folders", "tested"), [(("train", "Valid", "test"), {"test"}), (("set/training", "set/val"), {"set/val"})]
)
def test_folders_named_after_splits_divide_the_photos(tmp_path: Path, folders: tuple[str, ...], tested: set[str]) -> None:
    sources = [f"{folder}/{i}.png" for folder in folders for i in range(3)]
    for number, source in enumerate(sources):
        path = tmp_path / "photos" / source
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8), (number, 0, 0)).save(path)
    assert pack(tmp_path / "photos", tmp_path / "mine.zip", 0.2)[:2] == (len(sources) - 3, 3)
    with open_archive(tmp_path / "mine.zip") as archive:
        entries = read_manifest(archive)
    assert {entry.source.rpartition("/")[0] for entry in entries if entry.split == "test"} == tested
    assert len({entry.group for entry in entries}) == len(entries)  # else one group would be all of the validation
    shutil.copy(path, tmp_path / "photos" / folders[0] / "../stray.png")
    with pytest.raises(UserError, match=r"photos: 1 pictures lie outside of the folders .* splits: (set/)?stray\.png"):
        pack(tmp_path / "photos", tmp_path / "mine.zip", 0.2)


def test_names_that_would_be_too_long_for_a_file_are_cut_and_stay_apart(tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    for i in range(8):
        folder = photos / ("夏の旅行の写真" * 10) / f"day{i}"
        folder.mkdir(parents=True)
        Image.new("RGB", (8, 8), (i, i, i)).save(folder / "IMG_0000.png")
    pack(photos, tmp_path / "mine.zip", 0.4)
    names = list(splits(tmp_path / "mine.zip"))
    assert len(set(names)) == 8
    assert all(name.startswith("夏の旅行") and len(name.encode()) <= 150 for name in names)


def test_what_is_left_out_is_counted_and_named(tmp_path: Path) -> None:
    photos = make_photos(tmp_path / ".photos")  # its own name may begin with a dot
    for name in ("a.HEIC", "b.heic", "c.heic", "d.heic", "notes.txt", "README"):
        (photos / name).touch()
    (photos / "._photo1.png").write_bytes(b"what macOS leaves beside photo1.png")
    (photos / ".ipynb_checkpoints").mkdir()
    Image.new("RGB", (8, 8)).save(photos / ".ipynb_checkpoints" / "photo1-checkpoint.png")
    make_photos(tmp_path / "album")
    (photos / "linked").symlink_to(tmp_path / "album")
    Path(os.fsdecode(os.fsencode(photos) + b"/notes.\xe9")).touch()
    (photos / "broken.png").symlink_to(tmp_path / "nowhere.png")
    Image.new("L", (8, 8)).save(photos / "photo1_mask.png")
    Image.new("RGB", (8, 8)).save(tmp_path / "elsewhere.png")
    (photos / "photo99.png").symlink_to(tmp_path / "elsewhere.png")  # a linked photo is a photo
    packed = pack(photos, tmp_path / "mine.zip", 0.4)
    assert packed.num_train + packed.num_test == 13
    said = packed.left_out.replace(f"{photos}/", "")
    assert said == (
        "1 masks of pictures beside them: photo1_mask.png; "
        "7 of other types (1 .\\xe9, 4 .heic, 1 .txt, 1 no suffix): README, a.HEIC, b.heic and 4 more; "
        "2 hidden: ._photo1.png, .ipynb_checkpoints; 2 linked folders or broken links: broken.png, linked"
    )


def test_folder_that_may_not_be_read_is_left_out_and_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    photos, iterdir = make_photos(tmp_path / "photos"), Path.iterdir

    def refuse(self: Path) -> Iterator[Path]:
        if self.name == "beach":
            raise PermissionError(errno.EACCES, "Permission denied", str(self))
        return iterdir(self)

    monkeypatch.setattr(Path, "iterdir", refuse)
    packed = pack(photos, tmp_path / "mine.zip", 0.4)
    assert packed.num_train + packed.num_test == 9
    assert packed.left_out == f"1 folders that may not be read: {photos / 'beach'}"


def test_every_name_that_no_data_set_takes_is_named(tmp_path: Path) -> None:
    photos = make_photos(tmp_path / "photos")
    for name in (b"caf\xe9.png", b"new\nline.png", b"back\\slash.png", b"C:x.png"):
        shutil.copy(photos / "photo1.png", os.fsencode(photos) + b"/" + name)
    with pytest.raises(UserError, match="nothing was packed") as raised:
        pack(photos, tmp_path / "mine.zip", 0.4)
    for said in (r"caf\xe9.png: has a name that is no UTF-8", r"new\nline.png: has a control", "C:x.png: begins like"):
        assert said in str(raised.value)
    assert not (tmp_path / "mine.zip").exists()


@pytest.mark.parametrize(
    ("names", "ratio", "message"),
    [
        ((), 0.2, r"holds no photo"),
        (("a.png",), 0.2, "split empty"),
        (("a.png", "a.bmp"), 0.2, "would both be named 'a'"),
        (("a-b/c.png", "a/b-c.png"), 0.2, "would both be named 'a-b-c'"),
        (("a.png",), 1.5, r"test ratio 1\.5: must be between 0 and 1"),
    ],
)
def test_pack_refuses(tmp_path: Path, names: tuple[str, ...], ratio: float, message: str) -> None:
    (tmp_path / "photos").mkdir()
    for name in names:
        (tmp_path / "photos" / name).parent.mkdir(exist_ok=True)
        Image.new("RGB", (8, 8)).save(tmp_path / "photos" / name)
    with pytest.raises(ValueError, match=message):
        pack(tmp_path / "photos", tmp_path / "mine.zip", ratio)


def test_pack_says_which_of_folder_and_file_it_wants(tmp_path: Path) -> None:
    photos = make_photos(tmp_path / "photos")
    with pytest.raises(UserError, match=r"photos: is a folder; name the zip file to write"):
        pack(photos, photos, 0.4)
    with pytest.raises(UserError, match=r"photo1\.png: is a file; give the folder that it lies in"):
        pack(photos / "photo1.png", tmp_path / "mine.zip", 0.4)


@pytest.mark.parametrize("name", ["a\tb.zip", "caf\udce9.zip"])
def test_an_archive_that_params_yaml_cannot_name_is_not_written(tmp_path: Path, name: str) -> None:
    photos = make_photos(tmp_path / "photos")
    result = CliRunner().invoke(app, ["pack", str(photos), str(tmp_path / name)])
    assert result.exit_code == 1 and isinstance(result.exception, SystemExit)
    assert "has characters in its path that cannot be written; rename it" in result.output
    assert [path.name for path in tmp_path.iterdir()] == ["photos"]
