"""`pennet data` as people type it."""

import dataclasses
import hashlib
import http.server
import shlex
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from pennet.cli import app
from pennet.data import sets
from pennet.data.sets.card import card
from pennet.data.sets.spec import Archive, PaperLists, SplitList
from pennet.data.sets.terrain import ARCHIVE, TERRAIN
from pennet.data.sources.download import Remote
from tests.data.server import running

ROOT = Path(__file__).parents[2]


def data(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["data", *arguments], env={"COLUMNS": "200"})


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """What a server is asked for that has terrain's archive; data set `served` lies there."""
    paths: list[str] = []

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *arguments: object) -> None:
            super().__init__(*arguments, directory=str((ROOT / ARCHIVE).parent))  # type: ignore[arg-type]

        def do_GET(self) -> None:
            paths.append(self.path)
            super().do_GET()

        def log_message(self, *_: object) -> None: ...

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    remote = dataclasses.replace(
        TERRAIN.archives[0].remote, urls=(f"http://127.0.0.1:{server.server_port}/terrain-256.zip",)
    )
    served = dataclasses.replace(
        TERRAIN, name="served", must_accept=True, archives=(dataclasses.replace(TERRAIN.archives[0], remote=remote),)
    )
    known = sets.find
    monkeypatch.setattr(sets, "find", lambda name: served if name == "served" else known(name))
    yield paths
    server.shutdown()
    server.server_close()


def test_list_names_every_data_set_with_its_size() -> None:
    result = data("list")
    assert result.exit_code == 0
    for name in sets.data_sets():
        assert f" {name} " in result.output
    assert "26.1 GB" in result.output
    assert "to accept" in result.output


@pytest.mark.parametrize("name", ["dtd", "celebahq"])
def test_card_is_the_page_of_the_documentation(name: str) -> None:
    result = data("card", name)
    assert result.output == card(sets.find(name)) == (ROOT / "docs/data" / f"{name}.md").read_text()


def test_what_was_downloaded_is_verified(tmp_path: Path, asked: list[str]) -> None:
    result = data("download", "served", "--to", str(tmp_path / "here"), "--accept-licence")
    assert result.exit_code == 0, result.output
    archive = tmp_path / "here/terrain-256.zip"
    assert archive.read_bytes() == (ROOT / ARCHIVE).read_bytes()
    assert asked == ["/terrain-256.zip"]
    assert f"next: pennet data verify served {archive}" in result.output

    again = data("download", "served", "--to", str(tmp_path / "here"), "--accept-licence")
    assert "is there, and whole" in again.output
    assert len(asked) == 1

    result = data("verify", "terrain", str(archive))
    assert result.exit_code == 0
    assert "281 pictures; split: the archive's own manifest" in result.output
    train, val, test = (int(part.split()[0]) for part in result.stdout.splitlines()[-1].split(", "))
    assert (train + val, test) == (209, 72)
    assert val > 0


@pytest.mark.parametrize("name", ["terrain", "served"])
def test_the_command_that_comes_next_works_as_it_is_printed(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked: list[str]
) -> None:
    """Terrain's archive stays where it comes with the project; a path may hold a space."""
    monkeypatch.chdir(ROOT)
    result = data("download", name, "--to", str(tmp_path / "my data"), "--accept-licence")
    *_, line = result.stdout.splitlines()
    _, pennet, _, *arguments = shlex.split(line)
    assert pennet == "pennet"
    assert arguments[:2] == ["verify", name] and len(arguments) == 3
    assert Path(arguments[2]).read_bytes() == (ROOT / ARCHIVE).read_bytes()


def test_nothing_is_asked_for_before_the_licence_is_accepted(tmp_path: Path, asked: list[str]) -> None:
    result = data("download", "served", "--to", str(tmp_path / "here"))
    assert result.exit_code == 1
    assert "accept it first" in result.output
    assert "CC BY-SA" in result.output
    assert not asked
    assert not (tmp_path / "here").exists()


def test_every_picture_that_cannot_be_read_and_what_is_none_is_named(tmp_path: Path) -> None:
    from PIL import Image

    for i in range(24):
        (tmp_path / f"scene-{i}").mkdir()
        Image.new("RGB", (8, 8), (i, 0, 0)).save(tmp_path / f"scene-{i}" / "photo.png")
    for i in range(1, 16):
        (tmp_path / f"scene-{i}" / "photo.png").write_bytes(b"no picture")
    (tmp_path / "scene-1" / "b.heic").touch()
    result = data("verify", "folder", str(tmp_path), "--test-ratio", "0.5", "--val-ratio", "0.3")
    assert result.exit_code == 1
    assert "15 pictures cannot be read" in result.output
    for i in range(1, 16):
        assert f"scene-{i}/photo.png" in result.output
    assert "no pictures: 1 of other types (1 .heic)" in result.output


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["card", "imagenet"], "data set 'imagenet' is not known; known are terrain, facade"),
        (["download", "folder"], "folder: there is nothing to download"),
        (["download", "hub"], "hub: name a data set and its commit"),
        (
            ["download", "hub", "--repository", "a/b", "--revision", "main", "--accept-licence"],
            "a/b: revision 'main' is not pinned",
        ),
        (["download", "dtd", "--revision", "0" * 40], "dtd: --repository and --revision are for data set hub"),
        (["download", "places2"], "places2: read its licence at"),
        (["download", "terrain"], "terrain-256.zip: comes with the project; start this in the folder of its checkout"),
        (["verify", "packed", "."], ".: is a folder; give an archive that `pennet pack` has made, or use data_set: folder"),
        (["verify", "dtd", ARCHIVE], "give the archive of this data set"),
        (["verify", "facade", "nowhere.zip"], "nowhere.zip"),
        (
            ["verify", "terrain", ARCHIVE, "--lists", "a.zip"],
            "terrain: has no lists of the paper's authors; leave out",
        ),
        (
            ["init", "mine", ARCHIVE, "--write", "none/params.yaml"],
            "none/params.yaml: no such file; name the params.yaml",
        ),
    ],
)
def test_what_cannot_be_done_is_one_message(
    arguments: list[str], problem: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    archive = ROOT / ARCHIVE
    monkeypatch.chdir(tmp_path)
    result = data(*(str(archive) if argument == ARCHIVE else argument for argument in arguments))
    assert result.exit_code == 1
    assert problem in result.output
    assert result.output.count("pennet data: ") == 1
    assert "Traceback" not in result.output
    assert list(tmp_path.iterdir()) == []


def test_who_cannot_have_the_lists_can_do_without_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = Archive("a.zip", "all", Remote((str(ROOT / ARCHIVE),), kind="zip"), "its contents")
    nowhere = Remote((str(tmp_path / "lists.zip"),), "0" * 64)
    lists = PaperLists(nowhere, SplitList("a", 1, ""), SplitList("b", 1, ""), str)
    listed = dataclasses.replace(TERRAIN, name="listed", archives=(archive,), paper=lists)
    monkeypatch.setattr(sets, "find", lambda name: listed)
    result = data("download", "listed", "--to", str(tmp_path / "here"))
    assert result.exit_code == 1
    assert "or --no-lists" in result.output
    result = data("download", "listed", "--to", str(tmp_path / "here"), "--no-lists")
    assert result.exit_code == 0, result.output
    assert f"next: pennet data verify listed {tmp_path / 'here/a.zip'}\n" in result.output


@pytest.mark.parametrize("option", [("--seed", "-1"), ("--test-ratio", "2"), ("--val-ratio", "-0.1")])
def test_numbers_out_of_range_are_refused(option: tuple[str, str]) -> None:
    result = data("verify", "terrain", str(ROOT / ARCHIVE), *option)
    assert result.exit_code == 2
    assert option[0] in result.output


def test_a_file_without_a_published_checksum_tells_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked: list[str]
) -> None:
    content = (ROOT / ARCHIVE).read_bytes()
    archive = Archive("a.zip", "all", Remote((str(ROOT / ARCHIVE),), kind="zip"), "its contents")
    unsure = dataclasses.replace(TERRAIN, name="unsure", archives=(archive,))
    monkeypatch.setattr(sets, "find", lambda name: unsure)
    result = data("download", "unsure", "--to", str(tmp_path))
    assert result.exit_code == 0, result.output
    assert f"nobody published a checksum; its sha256 is {hashlib.sha256(content).hexdigest()}" in result.output
    assert sorted(path.name for path in tmp_path.iterdir()) in (["a.zip"], [".partial", "a.zip"])


def test_a_page_in_place_of_an_archive_is_refused_and_one_that_was_brought_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As Google Drive does with a file whose quota is used up."""
    page = b"<!DOCTYPE html><title>Google Drive - Quota exceeded</title>" + bytes(1000)
    with running(page) as server:
        remote = Remote((f"{server.url}/download?id=1a-b_c&export=download&confirm=t",), kind="zip")
        drive = dataclasses.replace(TERRAIN, name="drive", archives=(Archive("a.zip", "all", remote, "its contents"),))
        monkeypatch.setattr(sets, "find", lambda name: drive)
        result = data("download", "drive", "--to", str(tmp_path))
        assert result.exit_code == 1
        assert "sends a web page instead of the file" in result.output
        assert f"bring the file to {tmp_path / 'a.zip'} yourself" in result.output
        assert not (tmp_path / "a.zip").exists()

        (tmp_path / "a.zip").write_bytes((ROOT / ARCHIVE).read_bytes())
        result = data("download", "drive", "--to", str(tmp_path))
        assert result.exit_code == 0, result.output
        assert "a.zip is there, with no published checksum" in result.output
        assert len(server.requests) == 1
