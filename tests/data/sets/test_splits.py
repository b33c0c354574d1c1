"""Splits: the paper's lists where they are what was published, seeded ones that say so, groups that never part."""

import dataclasses
import hashlib
import random
from collections.abc import Mapping
from pathlib import Path

import pytest

from pennet.data.sets import data_sets
from pennet.data.sets.celebahq import CELEBAHQ
from pennet.data.sets.facade import FACADE
from pennet.data.sets.folder import FOLDER
from pennet.data.sets.spec import DataSet, PaperLists, Place, Source
from pennet.data.sets.splits import Split, assign, fetch_lists, read_lists, with_fewer_test_images
from pennet.data.sources.download import Remote
from pennet.errors import UserError
from tests.data.sets.stand_ins import write_zip


def source(groups: Mapping[str, str], splits: Mapping[str, str] | None = None, own: str = "", caveat: str = "") -> Source:
    places = {key: Place(key, group, (splits or {}).get(key)) for key, group in groups.items()}
    return Source(places, lambda: iter(()), own, caveat)


def alone(keys: list[str]) -> dict[str, str]:
    return {key: key for key in keys}


FACADES = [f"base/cmp_b{n:04d}.jpg" for n in range(1, 379)] + [f"extended/cmp_x{n:04d}.jpg" for n in range(1, 229)]
LINES = [f"facade/{key.rpartition('/')[2]}" for key in FACADES]
random.Random(7).shuffle(LINES)


def publish(data_set: DataSet, folder: Path, train: list[str], test: list[str], end: str = "\n") -> tuple[DataSet, Path]:
    """Lists in a data set's own layout, and the data set as if these were the published ones."""
    assert data_set.paper is not None
    contents = [("\n".join(lines) + end).encode() for lines in (train, test)]
    lists = [
        dataclasses.replace(expected, sha256=hashlib.sha256(content).hexdigest())
        for expected, content in zip((data_set.paper.train, data_set.paper.test), contents, strict=True)
    ]
    files = {expected.member: content for expected, content in zip(lists, contents, strict=True)}
    path = write_zip(folder / "lists.zip", {f"{data_set.name}/valid.flist": b"facade/cmp_b0014.jpg\n"} | files)
    remote = Remote((str(path),), hashlib.sha256(path.read_bytes()).hexdigest(), kind="zip")
    paper = dataclasses.replace(data_set.paper, remote=remote, train=lists[0], test=lists[1])
    return dataclasses.replace(data_set, paper=paper), path


def paper_of(data_set: DataSet) -> PaperLists:
    assert data_set.paper is not None
    return data_set.paper


def of_facades(data_set: DataSet, lists: Path | None, seed: int = 3, val_ratio: float = 0.1) -> Split:
    return assign(data_set, source(alone(FACADES)), lists, seed=seed, test_ratio=0.5, val_ratio=val_ratio)


def test_the_papers_split_is_taken_as_it_is_published(tmp_path: Path) -> None:
    facade, path = publish(FACADE, tmp_path, LINES[:506], LINES[506:])
    fetch_lists(paper_of(facade), tmp_path / "fetched" / "lists.zip", tmp_path / "partial")
    split = of_facades(facade, tmp_path / "fetched" / "lists.zip")
    assert split.origin == "paper"
    tested = {key for key, name in split.of.items() if name == "test"}
    assert tested == {f"{'base' if '_b' in line else 'extended'}/{line.removeprefix('facade/')}" for line in LINES[506:]}
    assert len(split.of) == 606 and split.counts()["test"] == 100 and 25 < split.counts()["val"] < 85
    assert path.read_bytes() == (tmp_path / "fetched" / "lists.zip").read_bytes()


def test_sizes_of_the_papers_splits_are_those_of_its_lists() -> None:
    sizes = {
        name: (paper.train.num_images, paper.test.num_images)
        for name, data_set in data_sets().items()
        if (paper := data_set.paper)
    }
    assert sizes == {"facade": (506, 100), "dtd": (4512, 1128), "celebahq": (28_000, 2_000)}
    assert all(dict(data_sets()[name].splits) == {"train": a, "test": b} for name, (a, b) in sizes.items())


@pytest.mark.parametrize("cut", ["train", "test"])
def test_lists_of_another_length_are_refused(tmp_path: Path, cut: str) -> None:
    train, test = LINES[: 505 if cut == "train" else 506], LINES[506 : 605 if cut == "test" else 606]
    facade, path = publish(FACADE, tmp_path, train, test)
    counts = "505 images, must be 506" if cut == "train" else "99 images, must be 100"
    with pytest.raises(UserError, match=rf"lists\.zip: facade/{cut}\.flist: {counts}; .*seeded split"):
        read_lists(path, paper_of(facade))


def test_lists_of_another_content_are_refused(tmp_path: Path) -> None:
    _, path = publish(FACADE, tmp_path, LINES[:506], LINES[506:])
    with pytest.raises(UserError, match=r"facade/train\.flist: sha256 is [0-9a-f]{64}, expected 434588ad"):
        read_lists(path, paper_of(FACADE))


def test_a_missing_list_is_named(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "lists.zip", {"facade/test.flist": b""})
    with pytest.raises(UserError, match=r"lists\.zip: holds no facade/train\.flist; .*seeded split"):
        read_lists(path, paper_of(FACADE))


def test_a_picture_in_both_lists_is_named(tmp_path: Path) -> None:
    facade, path = publish(FACADE, tmp_path, LINES[:506], [*LINES[506:605], LINES[0]])
    with pytest.raises(UserError, match=r"facade/test\.flist: names (base|extended)/cmp_\w+\.jpg twice"):
        read_lists(path, paper_of(facade))


def test_lists_of_other_pictures_are_refused(tmp_path: Path) -> None:
    facade, path = publish(FACADE, tmp_path, LINES[:506], [*LINES[506:605], "facade/cmp_b0999.jpg"])
    with pytest.raises(UserError, match=r"facade: 2 pictures are in the data or in the split only: .*base/cmp_b0999\.jpg"):
        of_facades(facade, path)


def test_lists_are_refused_where_the_published_archive_has_another_checksum(tmp_path: Path) -> None:
    facade, _ = publish(FACADE, tmp_path, LINES[:506], LINES[506:])
    other = dataclasses.replace(paper_of(facade), remote=dataclasses.replace(paper_of(facade).remote, sha256="0" * 64))
    with pytest.raises(UserError, match="choose a seeded split"):
        fetch_lists(other, tmp_path / "fetched.zip", tmp_path / "partial")
    assert not (tmp_path / "fetched.zip").exists()


def test_a_twin_of_a_test_image_is_left_out_of_training(tmp_path: Path) -> None:
    keys = [f"imgHQ{n:05d}" for n in range(30_000)]
    tested = {3330, *range(20_000, 21_999)}
    train = [f"celebahq/{key}.jpg" for n, key in enumerate(keys) if n not in tested]
    test = [f"celebahq/{key}.jpg" for n, key in enumerate(keys) if n in tested]
    celebahq, path = publish(CELEBAHQ, tmp_path, train, test, end="")
    faces = source(alone(keys) | {"imgHQ03330": "imgHQ03329"}, caveat="by numbers that nobody has verified")
    split = assign(celebahq, faces, path, seed=3, test_ratio=0.5, val_ratio=0)
    assert split.left_out == ("imgHQ03329",)
    assert split.counts() == {"train": 27_999, "val": 0, "test": 2_000}
    assert split.origin == "paper, by numbers that nobody has verified"


def test_a_seeded_split_has_the_papers_size_and_says_that_it_is_seeded() -> None:
    splits = [of_facades(FACADE, None, seed) for seed in (3, 3, 4)]
    assert [split.counts()["test"] for split in splits] == [100, 100, 100]
    assert [split.origin for split in splits[1:]] == [f"seeded, 100 test images of seed {seed}" for seed in (3, 4)]
    assert splits[0] == splits[1]
    assert splits[0].of != splits[2].of


def test_a_seeded_split_is_the_same_everywhere() -> None:
    split = assign(FOLDER, source(alone(list("abcdefgh"))), None, seed=3, test_ratio=0.4, val_ratio=0.3)

    def hashed(salt: str, key: str) -> float:
        return int(hashlib.sha256(f"{salt}/{key}".encode()).hexdigest()[:12], 16) / 16**12

    literal = {k: "test" if hashed("3", k) < 0.4 else "val" if hashed("val", k) < 0.3 else "train" for k in "abcdefgh"}
    assert split.of == literal
    assert set(literal.values()) == {"train", "val", "test"}


def test_no_group_is_in_two_splits() -> None:
    groups = {f"{n:04d}.jpg": f"scene {n // 7}" for n in range(2_000)}
    by_ratio = assign(FOLDER, source(groups), None, seed=1, test_ratio=0.2, val_ratio=0.1)
    sized = dataclasses.replace(FOLDER, splits=(("train", 1_750), ("test", 250)))
    by_size = assign(sized, source(groups), None, seed=1, test_ratio=0.2, val_ratio=0.1)
    for split in (by_ratio, by_size):
        assert len({(groups[key], name) for key, name in split.of.items()}) == len(set(groups.values()))
        assert not split.left_out
    assert 244 <= by_size.counts()["test"] <= 250


def test_later_pictures_move_no_other() -> None:
    keys = [f"{n:04d}.jpg" for n in range(600)]
    few, many = (assign(FOLDER, source(alone(keys[:n])), None, seed=1, test_ratio=0.2, val_ratio=0.1).of for n in (300, 600))
    assert few == {key: many[key] for key in keys[:300]}


def test_validation_depends_on_no_seed_and_takes_its_share() -> None:
    groups = alone([f"{n:05d}.jpg" for n in range(10_000)])
    splits = [assign(FOLDER, source(groups), None, seed=seed, test_ratio=0.2, val_ratio=0.1) for seed in (1, 2)]
    trained = [{key for key, name in split.of.items() if name != "test"} for split in splits]
    validated = [{key for key, name in split.of.items() if name == "val"} for split in splits]
    both = trained[0] & trained[1]
    assert validated[0] & both == validated[1] & both
    assert len(validated[0]) / len(trained[0]) == pytest.approx(0.1, abs=0.01)


def test_a_source_keeps_its_own_split() -> None:
    own = {"a": "train", "b": "val", "c": "test", "d": "train"}
    split = assign(FOLDER, source(alone(list(own)), own, "its own"), None, seed=1, test_ratio=0.5, val_ratio=0.9)
    assert (split.of, split.origin) == (own, "its own")


def test_validation_images_test_where_there_are_no_others() -> None:
    own = {"a": "val"} | {f"{n:03d}": "train" for n in range(300)}
    split = assign(FOLDER, source(alone(list(own)), own, "its own"), None, seed=1, test_ratio=0.5, val_ratio=0.1)
    assert split.of["a"] == "test" and split.counts()["test"] == 1
    assert 10 < split.counts()["val"] < 60


def test_a_split_of_only_some_pictures_is_refused() -> None:
    some = source(alone(["a", "b", "c"]), {"a": "train", "b": "test"}, "its own")
    with pytest.raises(UserError, match="folder: 1 pictures are in the data or in the split only: c;"):
        assign(FOLDER, some, None, seed=1, test_ratio=0.5, val_ratio=0)


def test_an_empty_split_is_named() -> None:
    with pytest.raises(UserError, match=r"folder: 2 pictures leave the test split empty; give more pictures"):
        assign(FOLDER, source({"a": "scene", "b": "scene"}), None, seed=1, test_ratio=1e-9, val_ratio=0)
    with pytest.raises(UserError, match="leave the val split empty"):
        assign(
            FOLDER,
            source({"a": "one", "b": "one", "c": "two"}, {"a": "train", "b": "train", "c": "test"}),
            None,
            seed=3,
            test_ratio=0.5,
            val_ratio=0.1,
        )


def test_few_groups_still_have_every_split() -> None:
    split = assign(FOLDER, source(alone(list("abcdefgh"))), None, seed=3, test_ratio=1e-9, val_ratio=1e-9)
    assert split.counts() == {"train": 6, "val": 1, "test": 1}


def test_fewer_test_images_are_the_same_ones_whatever_else_there_is() -> None:
    keys = [f"{i}.jpg" for i in range(40)]
    split = Split("paper", dict.fromkeys(keys[:30], "test") | dict.fromkeys(keys[30:], "train"), ())
    few = with_fewer_test_images(split, 5)
    assert few.origin == "paper, 5 of 30 test images" and few.counts() == {"train": 10, "val": 0, "test": 5}
    more = with_fewer_test_images(split, 12)
    assert {key for key, part in few.of.items() if part == "test"} < {key for key, part in more.of.items() if part == "test"}
    assert with_fewer_test_images(split, 0) == split == with_fewer_test_images(split, 30)
