"""Which picture trains, validates or tests: the paper's split where it can be had, a seeded one that says so elsewhere."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pennet.data.pictures.shards import SPLITS
from pennet.data.sets.spec import DataSet, PaperLists, Source, SplitList
from pennet.data.sources.archives import stream
from pennet.data.sources.download import Remote, fetch_remote
from pennet.data.sources.search import a_few
from pennet.errors import UserError

_PRECEDENCE = ("test", "val", "train")
_LISTS_AT = "mikeyu925/ALE-Net", "543443755b2406019148fbcf54ef385ae2f579fa"
"""The repository that holds the lists of PEN-Net's authors, and its pinned revision."""
_SEEDED = "choose a seeded split, which says that it is one (split: seeded in its entry of sources, or --no-lists)"
_REMEDY = f"bring the published lists, or {_SEEDED}"


@dataclass(frozen=True)
class Split:
    origin: str
    """Whose it is: `paper`, the source's own, or `seeded, N test images of seed S`; for cards and tables."""
    of: Mapping[str, str]
    """Key -> `train`, `val` or `test`."""
    left_out: tuple[str, ...]
    """Keys in no split: training or validation images of a group that also tests."""

    def counts(self) -> dict[str, int]:
        counted = Counter(self.of.values())
        return {split: counted[split] for split in SPLITS}


def published(file: str, sha256: str) -> Remote:
    """Where the lists of PEN-Net's authors lie, at a pinned revision."""
    repository, revision = _LISTS_AT
    urls = (
        f"https://raw.githubusercontent.com/{repository}/{revision}/flist/{file}",
        f"https://github.com/{repository}/raw/{revision}/flist/{file}",
    )
    return Remote(urls, sha256, kind="zip")


def fetch_lists(lists: PaperLists, path: Path, partial_dir: Path) -> None:
    """Downloads the lists of the paper's split.

    Raises:
        UserError: they are not to be had, or others; the message names the seeded split as a way out, which is the caller's
            choice and never made silently.
        TransientError: the network or the server failed.
    """
    fetch_remote(lists.remote, path, partial_dir, f"put a copy at {path}, or {_SEEDED}")


def read_lists(path: Path, lists: PaperLists) -> dict[str, str]:
    """Key -> `train` or `test`, as the paper's authors had it.

    Raises:
        UserError: a list is missing, has another length or content, or names a picture twice; says which.
    """
    wanted = {lists.train.member: (lists.train, "train"), lists.test.member: (lists.test, "test")}
    contents = {member.name: content for member, content in stream(path, wanted.__contains__)}
    of: dict[str, str] = {}
    for name, (expected, split) in wanted.items():
        if name not in contents:
            raise UserError(f"{path}: holds no {name}; {_REMEDY}")
        lines = _lines(f"{path}: {name}", contents[name], expected)
        keys = [lists.key_of(line) for line in lines]
        twice = [key for key, count in Counter(keys).items() if count > 1 or key in of]
        if twice:
            raise UserError(f"{path}: {name}: names {a_few(twice)} twice; {_REMEDY}")
        of |= dict.fromkeys(keys, split)
    return of


def _lines(where: str, content: bytes, expected: SplitList) -> list[str]:
    lines = content.decode("utf-8", "replace").split()
    if len(lines) != expected.num_images:
        raise UserError(f"{where}: {len(lines):,} images, must be {expected.num_images:,}; {_REMEDY}")
    sha256 = hashlib.sha256(content).hexdigest()
    if sha256 != expected.sha256:
        raise UserError(f"{where}: sha256 is {sha256}, expected {expected.sha256}; {_REMEDY}")
    return lines


def assign(
    data_set: DataSet, source: Source, lists: Path | None, *, seed: int, test_ratio: float, val_ratio: float
) -> Split:
    """Puts every picture of a source into a split; what the source says itself comes first, then the paper's lists.

    Validation is taken from training by the hash of a group, so it depends on neither the seed nor the other pictures; a
    source with validation images keeps them, as its test images if it has no others.

    Args:
        data_set: what the source was read as.
        source: its pictures.
        lists: archive of the paper's lists; None for a seeded split.
        seed: of the seeded split.
        test_ratio: share of the groups that a seeded split tests with, where the data set has no size of its own.
        val_ratio: share of the groups that is taken from training for validation; 0 for none.

    Raises:
        UserError: the lists are not those of the paper or not of these pictures, only a part of the pictures has a split, or
            one stays empty; names the first few.
    """
    group_of = {place.key: place.group for place in source.places.values()}
    of = {place.key: place.split for place in source.places.values() if place.split is not None}
    if of:
        origin = source.own_split
    elif lists is not None and data_set.paper is not None:
        of = read_lists(lists, data_set.paper)
        origin = f"paper, {source.caveat}" if source.caveat else "paper"
    else:
        of = _seeded(group_of, dict(data_set.splits).get("test"), seed, test_ratio)
        origin = f"seeded, {sum(split == 'test' for split in of.values())} test images of seed {seed}"
    strangers = [*(key for key in group_of if key not in of), *(key for key in of if key not in group_of)]
    if strangers:
        one_sided = f"{len(strangers):,} pictures are in the data or in the split only"
        raise UserError(f"{data_set.name}: {one_sided}: {a_few(strangers)}; give the whole data set and its own lists")

    if "test" not in of.values() and "val" in of.values():
        origin += ", its validation images as test"
        of = {key: "test" if split == "val" else split for key, split in of.items()}
    if "val" not in of.values():
        training = {group_of[key] for key, split in of.items() if split == "train"}
        chosen = {group for group in training if _hashed("val", group) < val_ratio}
        if not chosen and val_ratio and len(training) > 1:  # few groups: at least one
            chosen = {min(training, key=lambda group: (_hashed("val", group), group))}
        of = {key: "val" if split == "train" and group_of[key] in chosen else split for key, split in of.items()}
    strongest: dict[str, str] = {}
    for key, split in of.items():
        strongest[group_of[key]] = min(split, strongest.get(group_of[key], split), key=_PRECEDENCE.index)
    kept = {key: split for key, split in of.items() if split == strongest[group_of[key]]}
    result = Split(origin, kept, tuple(key for key in of if key not in kept))
    empty = [split for split, count in result.counts().items() if not count and (split != "val" or val_ratio)]
    if empty:
        ways = (
            "give more pictures, divide large groups (pictures of one subfolder are one), or change test_ratio or val_ratio"
        )
        raise UserError(f"{data_set.name}: {len(group_of):,} pictures leave the {' and '.join(empty)} split empty; {ways}")
    return result


def with_fewer_test_images(split: Split, count: int) -> Split:
    """Keeps `count` test pictures, those whose hashes are lowest; all of them for 0, or where there are no more.

    The origin says so where some go.
    """
    test = [key for key, part in split.of.items() if part == "test"]
    if not count or len(test) <= count:
        return split
    kept = set(sorted(test, key=lambda key: (_hashed("test", key), key))[:count])
    of = {key: part for key, part in split.of.items() if part != "test" or key in kept}
    return Split(f"{split.origin}, {count:,} of {len(test):,} test images", of, split.left_out)


def _seeded(group_of: Mapping[str, str], num_test: int | None, seed: int, test_ratio: float) -> dict[str, str]:
    """Groups in the order of their hashes, until the test has its size; without a size those whose hash is small."""
    keys_of: dict[str, list[str]] = defaultdict(list)
    for key, group in group_of.items():
        keys_of[group].append(key)
    of = dict.fromkeys(group_of, "train")
    left = num_test
    for place, group in enumerate(sorted(keys_of, key=lambda group: (_hashed(str(seed), group), group))):
        keys = keys_of[group]
        drawn = _hashed(str(seed), group) < test_ratio or (place == 0 and len(keys_of) > 2)  # of few groups at least one
        if drawn if left is None else len(keys) <= left:
            of |= dict.fromkeys(keys, "test")
            left = None if left is None else left - len(keys)
    return of


def _hashed(salt: str, group: str) -> float:
    """A number in [0, 1) that a group always has, whatever else there is."""
    return int.from_bytes(hashlib.sha256(f"{salt}/{group}".encode()).digest()[:6]) / 2**48
