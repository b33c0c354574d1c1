"""Shards against tar's own tools, WebDataset's rule for names, and reading by hand."""

import hashlib
import multiprocessing
import os
import pickle
import re
import subprocess
import tarfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet

from pennet.data.pictures.shards import COLUMNS, INDEX, SPLITS, Shards
from pennet.data.preparing.shard_writer import ShardWriter, key_of, member_name
from pennet.data.sets import splits
from pennet.data.sources.archives import stream
from pennet.errors import UserError
from tests.data.pictures import decoded, encoded, photo, prepared

KEYS = ("a.jpg", "deep/a.jpg", "deep/er/a.b.c.png", "with space/ü漢.jpg", "x" * 300, "none")
FILES = {f"{split}/{key}": encoded(photo(i * 10 + n)) for i, split in enumerate(SPLITS) for n, key in enumerate(KEYS)}
FILES |= {f"train/more/{n}": encoded(photo(50 + n)) for n in range(6)}
WEBDATASET_KEY = re.compile(r"((?:.*/|)[^.]+)[.]([^/]*)")
"""How WebDataset divides the name of a member into a sample's key and a field."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return prepared(FILES, tmp_path_factory.mktemp("shards"))


@pytest.mark.parametrize("split", SPLITS)
def test_pictures_are_read_in_the_order_of_the_source(folder: Path, split: str) -> None:
    shards = Shards(folder, split)
    assert shards.keys() == [key for key in FILES if key.startswith(split)]
    assert [shards.key(i) for i in range(len(shards))] == shards.keys()
    for i in (0, 3, -1, np.int64(2)):
        assert np.array_equal(shards[i], decoded(shards.content(i)))
        assert shards[i].shape == (32, 32, 3)
        assert shards[i].dtype == np.uint8
    with pytest.raises(IndexError):
        shards[len(shards)]
    with pytest.raises(IndexError):
        shards.key(len(shards))
    assert len(list(shards)) == len(shards) == len(shards.keys())


def test_the_index_finds_every_content_by_hand(folder: Path) -> None:
    table = parquet.read_table(folder / INDEX)
    assert tuple(table.column_names) == COLUMNS
    assert table["split"].to_pylist() == sorted((key.split("/")[0] for key in FILES), key=SPLITS.index)
    places = list(zip(table["shard"].to_pylist(), table["offset"].to_pylist(), strict=True))
    assert places == sorted(places)
    for row in table.to_pylist():
        content = (folder / f"shard-{row['shard']:05d}.tar").read_bytes()[row["offset"] :][: row["size"]]
        assert hashlib.sha256(content).digest() == row["sha256"]
        assert (row["width_px"], row["height_px"]) == (40, 40)
        assert row["group"] == f"group of {row['key']}"


def test_tarfile_tar_and_the_archive_reader_find_the_same_members(folder: Path) -> None:
    split_of_shard: dict[str, set[str]] = {}
    paths = sorted(folder.glob("*.tar"))
    for path in paths:
        with tarfile.open(path) as archive:
            members = archive.getmembers()
            contents = [archive.extractfile(member).read() for member in members]  # type: ignore[union-attr]
        names = [member.name for member in members]
        listed = subprocess.run(["tar", "-tf", path], capture_output=True, text=True, check=True, timeout=60)
        assert listed.stdout.splitlines() == names
        assert [(member.name, content) for member, content in stream(path)] == list(zip(names, contents, strict=True))
        assert {(m.mtime, m.uid, m.gid, m.uname, m.gname, m.mode) for m in members} == {(0, 0, 0, "", "", 0o644)}
        assert path.stat().st_size <= 20_480
        for name in names:
            found = key_of(name) or next(key for key in FILES if member_name(key, "png") == name)
            split_of_shard.setdefault(path.name, set()).add(found.split("/")[0])
    assert all(len(found) == 1 for found in split_of_shard.values())
    assert len(paths) > len(SPLITS)


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=40), unique=True, min_size=2, max_size=8))
def test_names_are_unique_reversible_and_whole_for_webdataset(keys: list[str]) -> None:
    names = [member_name(key, "png") for key in keys]
    assert len(set(names)) == len(keys)
    for key, name in zip(keys, names, strict=True):
        assert key_of(name) in (key, None)
        if key:
            divided = WEBDATASET_KEY.fullmatch(name)
            assert divided and divided[2] == "png" and divided[1] + ".png" == name
        assert not name.startswith(("/", "__")) and "//" not in name


@pytest.mark.parametrize(
    "key", ["a.b/c.d.jpg", "__meta__/x", "/rooted", "a//b", "../up", ".hidden", "50%", "%2E", "=", "a/"]
)
def test_odd_keys_come_back(key: str) -> None:
    assert key_of(member_name(key, "jpg")) == key
    assert WEBDATASET_KEY.fullmatch(member_name(key, "jpg"))


def test_long_names_use_the_prefix_and_then_a_hash() -> None:
    folders = "/".join(["f" * 50] * 3)
    assert key_of(member_name(f"{folders}/{'n' * 90}", "jpg")) == f"{folders}/{'n' * 90}"
    for long in (f"{folders}/{'n' * 97}", f"{folders}/{folders}/n", "漢" * 12):
        assert member_name(long, "jpg") == f"={hashlib.sha256(long.encode()).hexdigest()}.jpg"
        assert key_of(member_name(long, "jpg")) is None


def test_a_picture_larger_than_a_shard_has_one_for_itself(tmp_path: Path) -> None:
    with ShardWriter(tmp_path, 20_480) as writer:
        places = [writer.add(str(size), "png", bytes(size)) for size in (10, 30_000, 10, 10)]
    assert [place.shard for place in places] == [0, 1, 2, 2]
    assert [place.offset for place in places] == [512, 512, 512, 512 + 1024]


def test_pickles_carry_folder_and_split_only(folder: Path) -> None:
    shards = Shards(folder, "train")
    first = shards[0]
    data = pickle.dumps(shards)
    assert len(data) < 400
    assert np.array_equal(pickle.loads(data)[0], first)


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_other_processes_open_the_shards_for_themselves(folder: Path, method: str) -> None:
    shards = Shards(folder, "train")
    expected = [shards.content(i) for i in range(len(shards))]
    with multiprocessing.get_context(method).Pool(1) as pool:
        assert pool.map(shards.content, range(len(shards))) == expected
        if method == "fork":
            assert pool.apply(_own_files, (shards,)) == os.getpid()
    assert shards.content(0) == expected[0]


def _own_files(shards: Shards) -> int:
    """The parent, when all is well in a child."""
    shards.content(0)
    assert shards._process == os.getpid()
    return os.getppid()


def test_what_is_missing_or_damaged_is_named(tmp_path: Path) -> None:
    folder = prepared(FILES, tmp_path)
    with pytest.raises(UserError, match=r"split 'dev': must be one of train, val, test"):
        Shards(folder, "dev")
    with pytest.raises(UserError, match=r"nowhere/index\.parquet: no such file, so no prepared data set; prepare"):
        Shards(tmp_path / "nowhere", "train")
    Shards(folder, "test").verify()
    last = sorted(folder.glob("*.tar"))[-1]
    shards = Shards(folder, "test")
    offset = int(shards._places[1][-1])
    with last.open("r+b") as file:
        file.seek(offset + 100)
        file.write(b"?")
    with pytest.raises(UserError, match=rf"{last.name}: 'test/none' is not what was written: its sha256"):
        shards.verify()
    with last.open("r+b") as file:
        file.seek(offset)
        file.write(b"no picture")
    with pytest.raises(UserError, match=rf"{last.name}: 'test/none' is damaged \("):
        shards[-1]
    os.truncate(last, offset + 10)
    with pytest.raises(UserError, match=rf"{last.name}: 'test/none' is cut short: the shard ends before byte"):
        shards[-1]
    last.unlink()
    with pytest.raises(UserError, match=rf"{last.name}: no such file, though the index names it"):
        Shards(folder, "test")[-1]
    (folder / INDEX).write_bytes(b"no index")
    with pytest.raises(UserError, match=r"index\.parquet: is no index of pictures \("):
        len(Shards(folder, "train"))


def test_splits_are_those_of_the_sources() -> None:
    assert SPLITS == splits.SPLITS
