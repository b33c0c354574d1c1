"""CelebA-HQ in the layouts that its copies have: three numberings of one index, and those that have lost it."""

from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from pennet.data.sets import celebahq
from pennet.data.sets.celebahq import CELEBAHQ, STARGAN_SPLIT, TWINS, key_of, plan
from pennet.errors import UserError
from tests.data.sets.stand_ins import jpeg, write_zip

INDICES = range(400)
"""Most tests take a set of so many faces."""
BESIDE = [
    "CelebAMask-HQ/CelebAMask-HQ-mask-anno/0/00000_hair.png",
    "CelebAMask-HQ/CelebAMask-HQ-mask/0.png",
    "CelebAMask-HQ/CelebA-HQ-to-CelebA-mapping.txt",
    "CelebAMask-HQ/README.txt",
]
LAYOUTS = {
    "CelebAMask-HQ": lambda i: f"CelebAMask-HQ/CelebA-HQ-img/{i}.jpg",
    "one-based": lambda i: f"data256x256/{i + 1:05d}.jpg",
    "imgHQ": lambda i: f"celebahq/imgHQ{i:05d}.png",
    "unpadded in the folders of another split": lambda i: f"{('train_256', 'visual_test_256')[i % 2]}/{i}.jpg",
    "padded": lambda i: f"celeba_hq_256/{i:05d}.jpg",
}


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(celebahq, "NUM_IMAGES", len(INDICES))


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_numbering_is_the_same_index(layout: str) -> None:
    beside = BESIDE if layout == "CelebAMask-HQ" else ["readme.txt", "Thumbs.db"]
    found = plan([*beside, *map(LAYOUTS[layout], INDICES)])
    assert {name: place.key for name, place in found.places.items()} == {
        LAYOUTS[layout](index): f"imgHQ{index:05d}" for index in INDICES
    }
    assert found.own_split == ""
    assert bool(found.caveat) == (layout == "padded")


@pytest.mark.usefixtures("small")
def test_the_owners_archive_is_read(tmp_path: Path) -> None:
    faces = {LAYOUTS["CelebAMask-HQ"](i): jpeg(i) for i in INDICES}
    own = write_zip(tmp_path / "own.zip", dict.fromkeys(BESIDE, b"no face") | faces)
    assert {item.key: item.content for item in CELEBAHQ.read([own]).items()} == {f"imgHQ{i:05d}": jpeg(i) for i in INDICES}


def test_twins_share_a_group_and_nobody_else_does() -> None:
    places = plan(list(map(LAYOUTS["imgHQ"], range(30_000)))).places
    group_of = {place.key: place.group for place in places.values()}
    assert group_of["imgHQ03329"] == group_of["imgHQ03330"]
    assert len(TWINS) == 27
    assert len(set(group_of.values())) == 30_000 - 27


def test_stargans_copy_is_named_as_such() -> None:
    names = [f"celeba_hq/{'val' if i < 2000 else 'train'}/{'fe' * (i % 2)}male/{3 * i + 1:06d}.jpg" for i in range(30_000)]
    found = plan(names)
    assert found.own_split == STARGAN_SPLIT
    assert sum(place.split == "test" for place in found.places.values()) == 2000
    with pytest.raises(UserError, match="hold 27,999 and 2,000 pictures, must be 28,000 and 2,000"):
        plan(names[:-1])


@pytest.mark.usefixtures("small")
def test_missing_faces_are_counted_and_named() -> None:
    names = [LAYOUTS["CelebAMask-HQ"](i) for i in INDICES if i not in (5, 399)]
    with pytest.raises(UserError, match=r"CelebA-HQ: 2 of 400 pictures are missing: imgHQ00005, imgHQ00399; give"):
        plan(names)


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize(
    ("names", "reason"),
    [
        ([f"{s}/{i}.jpg" for s, n in (("train", 360), ("valid", 40)) for i in range(n)], "the index is lost"),
        ([f"{size}/{i}.png" for size in (512, 1024) for i in range(10)], "the index is lost"),
        ([f"img_align_celeba/{i:06d}.jpg" for i in range(1, 99)], "is CelebA, of 202,599 small pictures"),
        (["deltas/delta00000.zip"], "deltas from which CelebA-HQ is computed"),
        (["data/train-00000-of-00068.parquet"], "parquet copies have lost the index"),
        (["images/banded/banded_0002.jpg"], r"no file such as CelebA-HQ-img/0\.jpg, but images/banded/banded_0002\.jpg"),
        ([f"a/{i}.jpg" for i in range(401)], "numbered 0 and 400"),
    ],
    ids=["two folders from 0", "all resolutions", "CelebA", "deltas", "parquet", "DTD", "one too many"],
)
def test_what_cannot_be_used_is_refused_with_the_reason(names: list[str], reason: str) -> None:
    with pytest.raises(UserError, match=reason):
        plan(names)


@pytest.mark.parametrize("line", ["celebahq/imgHQ00014.jpg", "./data/imgHQ00014.npy", "imgHQ00014", "14.jpg"])
def test_lines_of_the_lists_are_keys(line: str) -> None:
    assert key_of(line) == "imgHQ00014"


def test_the_owners_file_on_drive_is_asked_for_past_the_page_that_warns_of_its_size() -> None:
    (archive,) = CELEBAHQ.archives
    (url,) = archive.remote.urls
    asked = urlsplit(url)
    assert asked.hostname == "drive.usercontent.google.com"
    assert parse_qs(asked.query) == {"id": ["1badu11NqxGf6qM3PTTooQDJvQbejgbTv"], "export": ["download"], "confirm": ["t"]}
    assert archive.remote.kind == "zip"  # a page is not taken for it
