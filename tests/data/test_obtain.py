"""Where a data set's archives come from, when the paper's lists may be missing, and what counts as changed since."""

import dataclasses
import hashlib
import re
from pathlib import Path

import pytest

from pennet.data.sets.folder import FOLDER
from pennet.data.sets.hub import HUB
from pennet.data.sets.places2 import PLACES2
from pennet.data.sets.spec import Archive, DataSet, PaperLists, SplitList
from pennet.data.sets.terrain import TERRAIN
from pennet.data.sources import drive
from pennet.data.sources.download import Remote
from pennet.data.sources.obtain import LISTS, Obtained, check_unchanged, obtain
from pennet.errors import UserError
from tests.data.server import Answer, Server, running
from tests.data.sets.stand_ins import write_folder, write_tar, write_zip
from tests.project import ROOT

FILES = {"a.jpg": b"one", "more/b.jpg": b"three"}


def sha256_of(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


class Place:
    """A folder for downloads, and what was said."""

    def __init__(self, tmp_path: Path) -> None:
        self.folder, self.said = tmp_path / "archives", list[str]()

    def bring(self, data_set: DataSet, *own: str, **how: object) -> Obtained:
        return obtain(data_set, self.folder, own=own, say=self.said.append, **how)  # type: ignore[arg-type]


@pytest.fixture
def here(tmp_path: Path) -> Place:
    return Place(tmp_path)


@pytest.fixture
def packed(tmp_path: Path) -> Path:
    return write_zip(tmp_path / "photos.zip", FILES)


def test_own_paths_stay_where_they_are(here: Place, tmp_path: Path, packed: Path) -> None:
    folder = write_folder(tmp_path / "photos", FILES)
    content = packed.read_bytes()
    for sha256 in ((), (sha256_of(content),)):  # of the first alone
        obtained = here.bring(FOLDER, str(packed), str(folder), sha256=sha256)
        zipped, unpacked = obtained.archives
        assert (zipped.path, zipped.size_bytes, zipped.sha256) == (str(packed), len(content), sha256_of(content))
        assert (unpacked.path, unpacked.size_bytes) == (str(folder), len(b"onethree"))
        assert (obtained.data_set, obtained.lists, obtained.no_lists) == ("folder", None, "")
    assert not here.folder.exists()


def test_own_path_that_is_missing_or_another_is_named(here: Place, packed: Path) -> None:
    with pytest.raises(UserError, match=r"none\.zip: no such file or folder; correct its path"):
        here.bring(FOLDER, str(packed.with_name("none.zip")))
    with pytest.raises(UserError, match=r"ftp://a\.org/a\.zip: only http and https can be downloaded; get the file"):
        here.bring(FOLDER, "ftp://a.org/a.zip")
    with pytest.raises(UserError, match=rf"photos\.zip: sha256 is {sha256_of(packed.read_bytes())}, expected {'0' * 64}"):
        here.bring(FOLDER, str(packed), sha256=["0" * 64])


@pytest.mark.parametrize("name", ["photos.zip", "my%20photos.zip", "download?id=3&x=y.zip", ""])
def test_own_addresses_are_downloaded_whatever_they_are_called(here: Place, packed: Path, name: str) -> None:
    content = packed.read_bytes()
    with running(content) as server:
        (arrived,) = here.bring(FOLDER, f"{server.url}/{name}").archives
    names = {"photos.zip": "photos.zip", "my%20photos.zip": "my photos.zip", "": "archive"}
    assert arrived.path == str(here.folder / names.get(name, "download"))
    assert Path(arrived.path).read_bytes() == content
    assert (arrived.size_bytes, arrived.sha256) == (len(content), sha256_of(content))


@pytest.mark.parametrize(
    "link",
    [
        "https://drive.google.com/file/d/1bad-u_n/view?usp=sharing",
        "https://drive.google.com/file/u/1/d/1bad-u_n/edit",
        "https://drive.google.com/open?id=1bad-u_n",
        "https://drive.google.com/uc?export=download&id=1bad-u_n",
        "https://drive.usercontent.google.com/download?id=1bad-u_n&export=download&confirm=t",
    ],
)
def test_links_to_share_of_google_drive_lead_to_the_file(
    here: Place, packed: Path, monkeypatch: pytest.MonkeyPatch, link: str
) -> None:
    with running(packed.read_bytes()) as server:
        monkeypatch.setattr(drive, "_FILE", f"{server.url}/download?id={{}}&confirm=t")
        (arrived,) = here.bring(FOLDER, link).archives
    assert arrived.path == str(here.folder / "1bad-u_n")
    assert arrived.sha256 == sha256_of(packed.read_bytes())


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("https://drive.google.com/drive/folders/1abc?usp=sharing", "no link to a file of Google Drive; share the archive"),
        ("https://drive.google.com/", "no link to a file of Google Drive"),
        ("http://[1/photos.zip", "is no address (Invalid IPv6 URL); correct it"),
    ],
)
def test_addresses_that_lead_to_no_file_are_named(here: Place, address: str, message: str) -> None:
    with pytest.raises(UserError, match=re.escape(message)):
        here.bring(FOLDER, address)


def test_a_tar_of_any_name_is_downloaded_and_what_is_no_archive_refused(here: Place, tmp_path: Path) -> None:
    content = write_tar(tmp_path / "photos.tar", FILES).read_bytes()
    with running(content) as server:
        assert here.bring(FOLDER, f"{server.url}/x").archives[0].sha256 == sha256_of(content)
        server.answers = {"x": [Answer(body=b"no archive at all")], "page.zip": [Answer(body=b"<!doctype html>" * 9)]}
        with pytest.raises(UserError, match=r"no zip or tar archive, it begins with b'no archive .*name its path"):
            here.bring(FOLDER, f"{server.url}/x")
        with pytest.raises(UserError, match="a web page instead of the file"):
            here.bring(FOLDER, f"{server.url}/page.zip")
    assert (here.folder / "x").read_bytes() == content


def test_a_checksum_of_an_own_address_saves_the_second_download_and_refuses_others(here: Place, packed: Path) -> None:
    content = packed.read_bytes()
    with running(content) as server:
        url = f"{server.url}/photos.zip"
        for _ in range(2):
            here.bring(FOLDER, url, sha256=[sha256_of(content)])
        assert len(server.requests) == 1
        (here.folder / "photos.zip").write_bytes(content[:-1])  # damaged since
        here.bring(FOLDER, url, sha256=[sha256_of(content)])
        assert (here.folder / "photos.zip").read_bytes() == content
        with pytest.raises(UserError, match=r"photos\.zip"):
            here.bring(FOLDER, url, sha256=["0" * 64])
        assert (here.folder / "photos.zip").read_bytes() == content


def test_two_addresses_of_one_file_name_are_refused(here: Place, packed: Path) -> None:
    with running(packed.read_bytes()) as server:
        with pytest.raises(UserError, match=r"two addresses would both become photos\.zip"):
            here.bring(FOLDER, f"{server.url}/a/photos.zip", f"{server.url}/b/photos.zip")
        assert not server.requests
        assert len(here.bring(FOLDER, f"{server.url}/photos.zip", str(packed)).archives) == 2


def test_nothing_is_brought_before_the_licence_is_accepted(here: Place, packed: Path) -> None:
    with running(packed.read_bytes()) as server:
        with pytest.raises(UserError, match=r"places2: read its licence at http.* and accept it first"):
            here.bring(PLACES2, f"{server.url}/photos.zip")
        assert not server.requests
        assert not here.said
    assert here.bring(PLACES2, str(packed), accepted=True, lists="seeded").archives[0].path == str(packed)
    assert here.said[0].startswith("licence: ")


@pytest.mark.parametrize(
    ("data_set", "own", "message"),
    [
        (FOLDER, (), "folder: there is nothing to download; give what you have"),
        (HUB, (), "hub: name one data set of the hub, OWNER/NAME, and its commit"),
        (HUB, ("a/b",), "hub: name one data set of the hub, OWNER/NAME, and its commit"),  # without a commit
    ],
)
def test_what_must_be_named_is_asked_for(here: Place, data_set: DataSet, own: tuple[str, ...], message: str) -> None:
    with pytest.raises(UserError, match=message):
        here.bring(data_set, *own, accepted=True)


def test_what_comes_with_the_project_is_not_copied(here: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    (arrived,) = here.bring(TERRAIN).archives
    assert arrived.path == TERRAIN.archives[0].remote.urls[0]
    assert arrived.sha256 == TERRAIN.archives[0].remote.sha256
    assert not here.folder.exists()


def listed(server: Server, packed: Path, lists: bytes | None) -> DataSet:
    """A data set of one archive, with lists that the server has as they were published, or not at all."""
    remote = Remote((f"{server.url}/lists.zip",), sha256_of(lists or b"lists"), kind="zip")
    server.answers["lists.zip"] = [Answer(body=lists) if lists else Answer(status=404)]
    expected = SplitList("a.flist", 1, "0" * 64)
    published = Archive("a.zip", "all", Remote((str(packed),), sha256_of(packed.read_bytes()), kind="zip"), "its checksum")
    paper = PaperLists(remote, expected, expected, str)
    return dataclasses.replace(TERRAIN, name="listed", archives=(published,), paper=paper)


def test_lists_are_brought_once_where_they_are_wanted(here: Place, tmp_path: Path, packed: Path) -> None:
    lists = write_zip(tmp_path / "lists.zip", {"a.flist": b"a.jpg"}).read_bytes()
    with running(b"") as server:
        data_set = listed(server, packed, lists)
        assert here.bring(data_set, lists="seeded").lists is None
        assert not server.requests
        for choice in ("paper", "paper_else_seeded"):
            obtained = here.bring(data_set, lists=choice)
            assert obtained.lists is not None
            assert (obtained.lists.path, obtained.lists.sha256) == (str(here.folder / LISTS), sha256_of(lists))
            assert obtained.no_lists == ""
        assert len(server.requests) == 1


def test_lists_that_cannot_be_had_stop_who_needs_them_and_nobody_else(here: Place, packed: Path) -> None:
    with running(b"") as server:
        data_set = listed(server, packed, None)
        with pytest.raises(UserError, match=r"404.*choose a seeded split"):
            here.bring(data_set, lists="paper")
        here.said.clear()
        obtained = here.bring(data_set, lists="paper_else_seeded")
        assert obtained.lists is None
        assert "404" in obtained.no_lists
        assert [line for line in here.said if "its split will be a seeded one" in line]
        here.said.clear()
        assert here.bring(data_set, lists="seeded").no_lists == ""
        assert not [line for line in here.said if "seeded" in line]


def test_lists_of_another_content_are_not_taken(here: Place, tmp_path: Path, packed: Path) -> None:
    lists = write_zip(tmp_path / "lists.zip", {"a.flist": b"a.jpg"}).read_bytes()
    with running(b"") as server:
        data_set = listed(server, packed, lists)
        server.answers["lists.zip"] = [Answer(body=write_zip(tmp_path / "other.zip", {"a.flist": b"b.jpg"}).read_bytes())]
        obtained = here.bring(data_set, lists="paper_else_seeded")
    assert obtained.lists is None
    assert "sha256" in obtained.no_lists
    assert not (here.folder / LISTS).exists()


def test_a_file_that_was_brought_and_is_another_is_said_to_be_there(here: Place, packed: Path) -> None:
    """Else who has put it there, as asked, is asked for it again without a word of it."""
    with running(b"") as server:
        data_set = listed(server, packed, None)
        for name in (LISTS, "a.zip"):
            write_folder(here.folder, {name: b"another"})
        with pytest.raises(UserError, match="put a copy at"):
            here.bring(data_set, lists="paper")
        remote = dataclasses.replace(data_set.archives[0].remote, urls=(f"{server.url}/lists.zip",))
        data_set = dataclasses.replace(data_set, archives=(dataclasses.replace(data_set.archives[0], remote=remote),))
        with pytest.raises(UserError, match="bring the file to"):
            here.bring(data_set, lists="seeded")
    for name in (LISTS, "a.zip"):
        told = f"{here.folder / name} is there, but is not taken: its sha256 is {sha256_of(b'another')}, expected "
        assert [line for line in here.said if line.startswith(told)]


def test_an_archive_that_is_missing_or_has_changed_is_named(here: Place, packed: Path) -> None:
    obtained = here.bring(FOLDER, str(packed))
    check_unchanged(obtained, "again")
    content = packed.read_bytes()
    packed.write_bytes(content + b"\0")
    with pytest.raises(UserError, match=r"photos\.zip: has changed since it was downloaded; bring it again"):
        check_unchanged(obtained, "bring it again")
    packed.unlink()
    with pytest.raises(UserError, match=r"photos\.zip: is no longer there; bring it back, or take it again"):
        check_unchanged(obtained, "take it again")
    packed.write_bytes(content)
    check_unchanged(obtained, "again")


def test_a_folder_that_is_missing_or_has_changed_is_named(here: Place, tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "photos", FILES)
    obtained = here.bring(FOLDER, str(folder))
    check_unchanged(obtained, "again")
    changed = r"photos: has changed since it was downloaded"
    (folder / "a.jpg").rename(folder / "c.jpg")  # another name, the same size
    with pytest.raises(UserError, match=changed):
        check_unchanged(obtained, "again")
    (folder / "c.jpg").rename(folder / "a.jpg")
    check_unchanged(obtained, "again")
    (folder / "new.jpg").write_bytes(b"")
    with pytest.raises(UserError, match=changed):
        check_unchanged(obtained, "again")
    (folder / "new.jpg").unlink()
    (folder / "a.jpg").write_bytes(b"longer")
    with pytest.raises(UserError, match=changed):
        check_unchanged(obtained, "again")
    write_folder(folder, FILES)
    check_unchanged(obtained, "again")
    folder.rename(tmp_path / "elsewhere")
    with pytest.raises(UserError, match="photos: is no longer there"):
        check_unchanged(obtained, "again")


def test_lists_that_are_gone_are_named(here: Place, tmp_path: Path, packed: Path) -> None:
    lists = write_zip(tmp_path / "lists.zip", {"a.flist": b"a.jpg"}).read_bytes()
    with running(b"") as server:
        obtained = here.bring(listed(server, packed, lists), lists="paper")
    (here.folder / LISTS).unlink()
    with pytest.raises(UserError, match=rf"{LISTS}: is no longer there"):
        check_unchanged(obtained, "again")
