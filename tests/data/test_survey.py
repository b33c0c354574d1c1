"""`pennet data init`: what it says of people's folders."""

import errno
import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image
from ruamel.yaml import YAML
from typer.testing import CliRunner, Result

from pennet.cli import app
from pennet.data.commands.pack import pack
from pennet.data.commands.survey import survey
from pennet.data.sets.folder import FOLDER
from pennet.errors import UserError
from tests.data.sets.stand_ins import write_tar, write_zip


def init(*arguments: object) -> Result:
    result = CliRunner().invoke(app, ["data", "init", *map(str, arguments)])
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return result


def save(path: Path, width: int, height: int, orientation: int = 1) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.new("RGB", (width, height)).save(path, exif=exif)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """19 pictures of 300x200 px or more, one of 100x90 px, and what lies between people's photos."""
    folder = tmp_path / "my photos"
    for i in range(19):
        save(folder / f"jour {i % 8} é" / "IMG_0000.JPG" if i < 8 else folder / f"{i}.png", 300 + i, 200, 6 if i % 2 else 1)
    save(folder / "small.tif", 100, 90)
    save(folder / "18_mask.png", 300, 200)
    (folder / "a.heic").touch()
    (folder / "._18.png").touch()
    return folder


def test_init_prints_lines_that_yaml_reads_and_says_what_there_is(photos: Path) -> None:
    result = init("mine", photos)
    assert result.exit_code == 0
    values = YAML(typ="safe", pure=True).load(result.stdout)
    assert values["datasets"] == ["mine"]
    assert values["sources"]["mine"]["archives"] == [str(photos)]
    assert values["overrides"]["mine"]["prepare"] == {"image_size_px": 128}  # 19 of 20 have it, none has 256
    for said in (
        f"{photos}: 20 pictures, ",
        "1 masks of pictures beside them: ",
        "1 of other types (1 .heic): ",
        "1 hidden: ",
        "smaller side: 90 to 200 px, half of them up to 200 px",
        "split: seeded, ",
        "1 are smaller than 128 px (the smallest has 90 px); bring them larger",
        "`max_rejected_ratio: 0.05` beside",
        "  - small.tif (100x90 px)",
    ):
        assert said in result.stderr, said


def test_size_is_the_persons_choice(photos: Path) -> None:
    result = init("mine", photos, "--size-px", 64)
    assert YAML(typ="safe").load(result.stdout)["overrides"]["mine"]["prepare"] == {"image_size_px": 64}
    assert "are smaller" not in result.stderr


@pytest.mark.parametrize(
    ("sides", "size"), [([300] * 20, 256), ([300] * 19 + [70], 256), ([300] * 18 + [70] * 2, 64), ([30], 64)]
)
def test_suggested_size_is_the_largest_that_nearly_all_have(tmp_path: Path, sides: list[int], size: int) -> None:
    for number, side in enumerate(sides):
        save(tmp_path / f"{number}.png", side, 400)
    assert survey(tmp_path).suggested_px() == size


def test_all_that_is_bad_is_named_at_once(photos: Path, tmp_path: Path) -> None:
    for name in ("broken.jpg", "jour 1 é/empty.webp"):
        (photos / name).write_bytes(b"")
    (photos / "linked").symlink_to(tmp_path)
    (photos / "linked.png").symlink_to(photos / "18.png")
    problems = "\n".join(survey(photos).problems)
    for said in (
        "broken.jpg: cannot be read",
        "jour 1 é/empty.webp: cannot be read",
        "linked: is a link",
        "linked.png: is a link",
    ):
        assert said in problems, said
    assert len(survey(photos).problems) == 4


def test_names_that_are_no_utf_8_are_named_all(photos: Path) -> None:
    for name in (b"a\xe9.png", b"b\xe8.png"):
        Path(os.fsdecode(os.fsencode(photos) + b"/" + name)).touch()
    result = init("mine", photos)
    assert result.exit_code == 0
    assert r"a\xe9.png: has a name that is no UTF-8" in result.stderr and r"b\xe8.png: has" in result.stderr
    assert f"{photos}: 20 pictures, " in result.stderr


def test_pipes_are_named_and_never_opened(photos: Path) -> None:
    os.mkfifo(photos / "pipe.jpg")
    os.mkfifo(photos / "pipe")
    found = survey(photos)
    assert len(found.places) == 20
    assert found.problems == [f"{photos / 'pipe.jpg'}: is a device or a pipe, no file; pack the set without it"]
    assert "2 pipes or devices: " in found.left_out


def test_a_folder_that_stops_the_stages_is_to_be_mended(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As `lost+found` does, at the top of a disk that was mounted."""
    iterdir = Path.iterdir

    def refuse(self: Path) -> Iterator[Path]:  # as without the right to read it, which root always has
        if self.name == "jour 1 é":
            raise PermissionError(errno.EACCES, "Permission denied", str(self))
        return iterdir(self)

    monkeypatch.setattr(Path, "iterdir", refuse)
    assert survey(photos).problems == [
        f"{photos / 'jour 1 é'}: may not be read, which stops the stages; make it readable, or give a folder without it"
    ]
    with pytest.raises(PermissionError, match="jour 1 é"):
        FOLDER.read([photos])


@pytest.mark.parametrize("write", [write_zip, write_tar])
def test_an_archive_is_looked_at_like_the_folder(photos: Path, tmp_path: Path, write) -> None:  # type: ignore[no-untyped-def]
    files = {path.relative_to(photos).as_posix(): path.read_bytes() for path in photos.rglob("*") if path.is_file()}
    packed, folder = survey(write(tmp_path / "photos.archive", files)), survey(photos)
    assert (packed.sides_px, packed.num_bytes, packed.places) == (folder.sides_px, folder.num_bytes, folder.places)
    assert packed.sides_px["jour 1 é/IMG_0000.JPG"] == (200, 301)  # the right side up
    assert "18_mask.png" in packed.left_out and "a.heic" in packed.left_out


def test_splits_by_folders_are_found(tmp_path: Path) -> None:
    for split, count in (("train", 6), ("valid", 2), ("test", 3)):
        for number in range(count):
            save(tmp_path / "set" / split / f"{number}.png", 64, 64)
    assert "split: the folders' own: 6 train, 2 val, 3 test" in init("mine", tmp_path).stderr


def test_split_that_cannot_be_made_is_told_with_the_remedy(tmp_path: Path) -> None:
    for number in range(5):
        save(tmp_path / f"cat/{number}.png", 64, 64)
        save(tmp_path / f"dog/{number}.png", 64, 64)
    said = init("mine", tmp_path).stderr
    assert "2 groups: pictures of one subfolder stay in one split; the largest has 5 (cat)" in said
    assert "split: not yet possible: " in said and "divide large groups" in said


def test_write_adds_to_params_yaml_once_and_names_paths_from_there(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    params, elsewhere = tmp_path / "params.yaml", tmp_path / "elsewhere"
    elsewhere.mkdir()
    params.write_text("datasets: [terrain]\nsources:\n  terrain:\n    seed: 0  # kept\noverrides:\n  terrain: {}\n")
    monkeypatch.chdir(elsewhere)
    result = init("mine", "../my photos", "--write", "../params.yaml")
    assert result.exit_code == 0, result.output
    values = YAML(typ="safe", pure=True).load(params.read_text())
    assert values["datasets"] == ["terrain", "mine"]
    assert values["sources"]["mine"]["archives"] == ["my photos"]
    assert "seed: 0  # kept" in params.read_text()
    before = params.read_text()
    again = init("mine", "../my photos", "--write", "../params.yaml")
    assert again.exit_code == 1 and "has an entry 'mine' already" in again.output
    assert params.read_text() == before
    assert json.dumps(sorted(path.name for path in tmp_path.iterdir())) == '["elsewhere", "my photos", "params.yaml"]'


@pytest.mark.parametrize(
    ("name", "path", "problem"),
    [
        ("mine", "nowhere", "nowhere: no such file or folder"),
        ("mine", "empty", "empty: holds no picture; left out: 1 of other types (1 .txt): "),
        ("My photos", "empty", "name 'My photos': must be small letters"),
    ],
)
def test_what_cannot_be_done_is_one_message(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, path: str, problem: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "notes.txt").touch()
    result = init(name, path)
    assert result.exit_code == 1 and problem in result.output and result.output.count("pennet data: ") == 1


def test_no_picture_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"holds no picture; left out: nothing; give photos"):
        survey(tmp_path)


@pytest.mark.parametrize("size_px", [16, 33])
def test_a_size_that_no_network_takes_is_refused(photos: Path, size_px: int) -> None:
    result = CliRunner().invoke(app, ["data", "init", "mine", str(photos), "--size-px", str(size_px)])
    assert result.exit_code == 1
    assert f"--size-px {size_px}: must be a multiple of 8 from 32 on" in result.output


def test_a_packed_archive_keeps_its_own_splits(photos: Path, tmp_path: Path) -> None:
    pack(photos, tmp_path / "mine.zip", 0.5)
    result = CliRunner().invoke(app, ["data", "init", "mine", str(tmp_path / "mine.zip")])
    assert result.exit_code == 0, result.output
    assert YAML(typ="safe").load(result.stdout)["sources"]["mine"]["data_set"] == "packed"


@pytest.mark.parametrize("manifest", [b"filename,label\n0.png,cat\n", b"", b"\xff\xfe"])
def test_somebodys_own_manifest_makes_no_packed_archive(tmp_path: Path, manifest: bytes) -> None:
    for number in range(12):
        save(tmp_path / f"{number}.png", 64, 64)
    files = {path.name: path.read_bytes() for path in tmp_path.iterdir()} | {"manifest.csv": manifest}
    result = init("mine", write_zip(tmp_path / "mine.zip", files))
    assert YAML(typ="safe").load(result.stdout)["sources"]["mine"]["data_set"] == "folder"
    assert "left out: 1 of other types (1 .csv): manifest.csv" in result.stderr
