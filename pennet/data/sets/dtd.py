"""DTD, the Describable Textures Dataset: 47 kinds of texture, 120 pictures each."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from pennet.data.sets.spec import (
    Archive,
    DataSet,
    PaperLists,
    Place,
    Source,
    SplitList,
    archive_source,
    listing,
    not_this_set,
)
from pennet.data.sets.splits import published
from pennet.data.sources.download import Remote
from pennet.data.sources.search import a_few
from pennet.errors import UserError

NUM_CLASSES, IMAGES_PER_CLASS = 47, 120
_IMAGE = re.compile(r"(?:^|/)images/([^/]+)/(\1_\d{4}\.jpg)$")


def key_of(line: str) -> str:
    """`dtd/banded_0108.jpg` -> `images/banded/banded_0108.jpg`; `polka-dotted` has a hyphen, so the last `_` divides."""
    file = line.rpartition("/")[2]
    return f"images/{file.rpartition('_')[0]}/{file}"


def read(paths: Sequence[Path]) -> Source:
    members = listing(paths)
    found = {name: match for name in members if (match := _IMAGE.search(name))}
    if not found:
        raise not_this_set(DTD.title, members, "dtd/images/banded/banded_0002.jpg", {})
    counts = Counter(match[1] for match in found.values())
    short = [f"{name} ({count})" for name, count in sorted(counts.items()) if count != IMAGES_PER_CLASS]
    if short or len(counts) != NUM_CLASSES:
        is_so = f"{len(found):,} pictures of {len(counts)} classes"
        uneven = f"; other than {IMAGES_PER_CLASS} in {a_few(short)}" if short else ""
        must = f"must be {NUM_CLASSES * IMAGES_PER_CLASS:,} of {NUM_CLASSES}"
        raise UserError(f"{DTD.title}: {is_so}, {must}{uneven}; give dtd-r1.0.1.tar.gz, whole")
    keys = {name: key_of(match[2]) for name, match in found.items()}
    return archive_source(members, {name: Place(key, key) for name, key in keys.items()})


_FILE = "dtd-r1.0.1.tar.gz"
DTD = DataSet(
    name="dtd",
    title="Describable Textures Dataset (DTD), release 1.0.1",
    homepage="https://www.robots.ox.ac.uk/~vgg/data/dtd/",
    holds="Textures in the wild: 47 classes of 120 pictures, sides of about 270 to 1,060 px.",
    num_images=NUM_CLASSES * IMAGES_PER_CLASS,
    splits=(("train", 4512), ("test", 1128)),
    split_origin="the paper's lists, 96 and 24 of each class; none of the ten official splits",
    licence="Offered to researchers in computer vision for research; nothing grants passing it on.",
    must_accept=True,
    citation="""\
@inproceedings{cimpoi14describing, author = {M. Cimpoi and S. Maji and I. Kokkinos and S. Mohamed and A. Vedaldi},
  title = {Describing Textures in the Wild}, booktitle = {Proc. CVPR}, year = {2014}}""",
    archives=(
        Archive(
            _FILE,
            "everything",
            Remote(
                urls=(
                    f"https://www.robots.ox.ac.uk/~vgg/data/dtd/download/{_FILE}",
                    f"https://thor.robots.ox.ac.uk/dtd/{_FILE}",
                ),
                sha256="e42855a52a4950a3b59612834602aa253914755c95b0cff9ead6d07395f8e205",
                md5="fff73e5086ae6bdbea199a49dfb8a4c1",
                size_bytes=625_239_812,
                kind="tar",
            ),
            "published size, md5 and sha256; 47 times 120 names",
        ),
    ),
    disk_bytes=1_250_000_000,
    read=read,
    paper=PaperLists(
        published("dtd-20230418T134527Z-001.zip", "5133226a3f51a34ba9ce00b3650789055b9d65003aded46d35783704a316ee35"),
        SplitList("dtd/train.flist", 4512, "2700b6be8b5981a617f01a49abc6045b0232c4f60d1969ff41f55fe9be7fd325"),
        SplitList("dtd/test.flist", 1128, "0f61a21b537f860f06bdffee2b393d5a9974cf05b4a158645dfe1cb076f6d1ea"),
        key_of,
    ),
    known=("At least four pairs of equal files in `dotted`; others found them across the official train1 and val1.",),
    traps=(
        "`images/waffled/.directory` is no picture.",
        "The archive may be a plain tar in spite of its name; it is told by its first bytes.",
        "Numbers within a class have gaps.",
        "The authors validated on 133 of the test images; here validation is taken from training.",
    ),
)
