"""CelebA-HQ: one index of 30,000 faces, which its copies number in three ways, and some have lost."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import NamedTuple

from pennet.data.sets.spec import (
    Archive,
    DataSet,
    PaperLists,
    Place,
    Source,
    SplitList,
    archive_source,
    check_complete,
    is_picture,
    listing,
    not_this_set,
)
from pennet.data.sets.splits import published
from pennet.data.sources.download import Remote
from pennet.data.sources.drive import file_address
from pennet.data.sources.search import a_few
from pennet.errors import UserError

NUM_IMAGES = 30_000
TWINS = (
    *(234, 1679, 1756, 3329, 4100, 4445, 5162, 5773, 5796, 6770, 7384, 7561, 8405, 8975, 10262, 12444, 12885, 13825),
    *(15313, 15506, 15858, 16813, 19199, 23489, 24646, 25190, 27863),
)
"""Each has the same pixels as the next index."""
STARGAN_SPLIT = "StarGAN-v2's 28,000/2,000, which is not the paper's"
_STARGAN = re.compile(r"(?:^|/)((train|val)/(?:female|male)/\d+\.(?:jpg|png))$")
_STARGAN_SIZES = {"train": 28_000, "test": 2_000}
_NUMBERED = re.compile(r"(?:^|/)(imgHQ)?(\d{1,5})\.\w+$")
_REMEDY = "give CelebAMask-HQ.zip, or a whole folder of its images"
_LOOK_ALIKES = {
    "/img_align_celeba": "is CelebA, of 202,599 small pictures, not CelebA-HQ; " + _REMEDY,
    "/img_celeba": "is CelebA, of 202,599 pictures, not CelebA-HQ; " + _REMEDY,
    "delta": "holds the deltas from which CelebA-HQ is computed, no pictures; " + _REMEDY,
    ".parquet": "parquet copies have lost the index: they are data set `hub`, without the paper's split; " + _REMEDY,
}


class Plan(NamedTuple):
    """How the files of a copy are to be read."""

    places: dict[str, Place]
    own_split: str
    caveat: str


def key_of(line: str) -> str:
    """`celebahq/imgHQ00014.png`, with or without folder and suffix -> `imgHQ00014`."""
    match = re.search(r"(\d+)(?:\.\w+)?$", line)
    return _key(int(match[1])) if match else line


def plan(members: Collection[str]) -> Plan:
    """Tells from the names alone which copy it is, and which file is which face.

    Raises:
        UserError: another data set, a copy that has lost the index, or one that is not whole; says which and why.
    """
    pictures = [name for name in members if is_picture(name)]
    pictures = [name for name in pictures if "/CelebA-HQ-img/" in f"/{name}"] or pictures  # not the masks beside them
    stargan = {name: match for name in pictures if (match := _STARGAN.search(name))}
    if stargan:
        return _stargan(stargan)
    numbers: dict[int, list[str]] = defaultdict(list)
    named = 0
    for name in pictures:
        if match := _NUMBERED.search(name):
            numbers[int(match[2])].append(name)
            named += match[1] is not None
    if not numbers:
        raise not_this_set(CELEBAHQ.title, members, "CelebA-HQ-img/0.jpg", _LOOK_ALIKES)
    repeated = [names for names in numbers.values() if len(names) > 1]
    if repeated:
        lost = "is numbered from the start in more than one folder, so the index is lost"
        raise UserError(f"{CELEBAHQ.title}: {lost} ({a_few(repeated[0])}); {_REMEDY}")
    first = 1 if NUM_IMAGES in numbers and 0 not in numbers else 0
    found = {number - first: names[0] for number, names in numbers.items()}
    outside = [names[0] for number, names in numbers.items() if not 0 <= number - first < NUM_IMAGES]
    if outside:
        raise UserError(f"{CELEBAHQ.title}: numbered 0 and {NUM_IMAGES:,} ({a_few(outside)}); {_REMEDY}")
    check_complete(CELEBAHQ.title, {_key(n) for n in found}, map(_key, range(NUM_IMAGES)), _REMEDY)
    places = {name: Place(_key(index), _key(index - 1 if index - 1 in TWINS else index)) for index, name in found.items()}
    padded = not named and any("/00000." in f"/{name}" for name in places)
    return Plan(places, "", "by numbers of a copy whose order nobody has verified" if padded else "")


def _stargan(found: dict[str, re.Match[str]]) -> Plan:
    places = {name: Place(m[1], m[1], "train" if m[2] == "train" else "test") for name, m in found.items()}
    splits = [place.split for place in places.values()]
    counts = {split: splits.count(split) for split in _STARGAN_SIZES}
    if counts != _STARGAN_SIZES:
        is_so = f"StarGAN-v2's folders hold {counts['train']:,} and {counts['test']:,} pictures, must be 28,000 and 2,000"
        raise UserError(f"{CELEBAHQ.title}: {is_so}; unpack the copy again")
    return Plan(places, STARGAN_SPLIT, "")


def read(paths: Sequence[Path]) -> Source:
    members = listing(paths)
    return archive_source(members, *plan(members))


def _key(index: int) -> str:
    return f"imgHQ{index:05d}"


CELEBAHQ = DataSet(
    name="celebahq",
    title="CelebA-HQ",
    homepage="https://github.com/switchablenorms/CelebAMask-HQ",
    holds="Faces of celebrities, 1024x1024 px; as JPEG in CelebAMask-HQ, the copy that its owners hand out.",
    num_images=NUM_IMAGES,
    splits=(("train", 28_000), ("test", 2_000)),
    split_origin="the paper's lists, which are random: people of the test images are in training too",
    licence="Research and teaching without commerce only; no part may be copied further, published or passed on, "
    "except within one site of one organisation.",
    must_accept=True,
    citation="""\
@inproceedings{karras2018progressive, author = {Tero Karras and Timo Aila and Samuli Laine and Jaakko Lehtinen},
  title = {Progressive Growing of {GANs} for Improved Quality, Stability, and Variation},
  booktitle = {Proc. ICLR}, year = {2018}}
@inproceedings{CelebAMask-HQ, author = {Cheng-Han Lee and Ziwei Liu and Lingyun Wu and Ping Luo},
  title = {{MaskGAN}: Towards Diverse and Interactive Facial Image Manipulation}, booktitle = {Proc. CVPR}, year = {2020}}
@inproceedings{liu2015faceattributes, author = {Ziwei Liu and Ping Luo and Xiaogang Wang and Xiaoou Tang},
  title = {Deep Learning Face Attributes in the Wild}, booktitle = {Proc. ICCV}, year = {2015}}""",
    archives=(
        Archive(
            "CelebAMask-HQ.zip",
            "30,000 images, with masks that are not read",
            Remote((file_address("1badu11NqxGf6qM3PTTooQDJvQbejgbTv"),), kind="zip"),
            "no checksum was published: all 30,000 numbers",
            about_bytes=3_150_000_000,
        ),
    ),
    disk_bytes=6_300_000_000,
    read=read,
    paper=PaperLists(
        published("celebahq-20230418T134524Z-001.zip", "b27cee936a296c8cab560e9f74ecbae7474695cdd1ea95bb21af8e6fc23676ee"),
        SplitList("celebahq/train.flist", 28_000, "f1cc3db0549699762e38e128e3dd454e1f624226de8c62c7ac2301a118ff9545"),
        SplitList("celebahq/test.flist", 2_000, "7836f629e22b9dbc5c693e1d11a7275486fdf45d9bbcec1d28f7cd7b675ea342"),
        key_of,
    ),
    known=(
        f"{len(TWINS)} pairs of neighbours with the same pixels; the first of each: {', '.join(map(str, TWINS))}.",
        "One pair lies across the paper's split: 3329 (train) and 3330 (test). 3329 is left out, so training has 27,999.",
        "70 and 2815 look odd.",
    ),
    traps=(
        "The owners hand it out by Google Drive, which sends a page instead when the file's quota of the day is used up: "
        "it is refused; try again on another day, or bring the archive. A download that was cut goes on from where it was, "
        "if the file is still the same version; no tool for Drive is needed (docs/decisions/0021 says why).",
        "Copies number it from 0 (`0.jpg`, `imgHQ00000`, `00000.jpg`) or from 1 (`data256x256/00001.jpg`); here a key is "
        "`imgHQ` and the number from 0, in all of them.",
        "`00000.jpg` to `29999.jpg` (celeba_hq_256): nobody has verified the order, and the split's origin says so.",
        "`{train,val}/{female,male}` is StarGAN-v2's copy: 28,000 and 2,000 too, but another split, and named as such.",
        "Copies that number two folders from the start (27,000/3,000) or hold parquet alone have lost the index.",
        "The archive has more than 65,535 members; some old unpackers show the images only, which is enough here.",
        "JPEG, so pixels differ a little from the PNG files that the index was made for.",
    ),
)
