"""CMP Facade: photos of house fronts, with label pictures beside them that are no photos."""

from __future__ import annotations

import re
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
    check_complete,
    listing,
    not_this_set,
)
from pennet.data.sets.splits import published
from pennet.data.sources.download import Remote

_PHOTO = re.compile(r"(?:^|/)cmp_([bx])(\d{4})\.jpg$")
_PARTS = {"b": ("base", 378), "x": ("extended", 228)}
_RENUMBERED = "is a smaller, renumbered copy, to which the paper's split cannot be applied; bring the owners' archives"
_BASE_URL = "http://cmp.felk.cvut.cz/~tylecr1/facade"
_REMEDY = "give both archives, CMP_facade_DB_base.zip and CMP_facade_DB_extended.zip, whole"


def key_of(line: str) -> str:
    """`facade/cmp_b0014.jpg`, or any path that ends so -> `base/cmp_b0014.jpg`."""
    match = _PHOTO.search(line)
    return f"{_PARTS[match[1]][0]}/cmp_{match[1]}{match[2]}.jpg" if match else line


def read(paths: Sequence[Path]) -> Source:
    members = listing(paths)
    places = {name: Place(key_of(name), key_of(name)) for name in members if _PHOTO.search(name)}
    if not places:
        look_alikes = {"/facades/": _RENUMBERED, "/trainA/": _RENUMBERED}
        raise not_this_set(FACADE.title, members, "base/cmp_b0001.jpg", look_alikes)
    expected = [f"{part}/cmp_{mark}{n:04d}.jpg" for mark, (part, num) in _PARTS.items() for n in range(1, num + 1)]
    check_complete(FACADE.title, {place.key for place in places.values()}, expected, _REMEDY)
    return archive_source(members, places)


def _archive(part: str, num_photos: int) -> Archive:
    file = f"CMP_facade_DB_{part}.zip"
    urls = (f"{_BASE_URL}/{file}", f"https://{_BASE_URL.partition('://')[2]}/{file}")
    remote = Remote(urls, kind="zip")
    return Archive(file, f"{num_photos} photos, with labels", remote, f"no checksum was published: all {num_photos} names")


FACADE = DataSet(
    name="facade",
    title="CMP Facade",
    homepage="https://cmp.felk.cvut.cz/~tylecr1/facade/",
    holds="Rectified photos of house fronts from many cities: 378 of the base set, 228 of the extended one.",
    num_images=606,
    splits=(("train", 506), ("test", 100)),
    split_origin="the paper's lists; the data set has no official split",
    licence="CC BY-SA by others' account: use, change and pass on, with its authors named and under the same terms.",
    must_accept=True,
    citation="""\
@inproceedings{Tylecek13, author = {Radim Tyle{\\v c}ek and Radim {\\v S}{\\' a}ra},
  title = {Spatial Pattern Templates for Recognition of Objects with Regular Structure},
  booktitle = {Proc. GCPR}, address = {Saarbr{\\"u}cken}, year = {2013}}""",
    archives=(_archive("base", 378), _archive("extended", 228)),
    disk_bytes=None,
    read=read,
    paper=PaperLists(
        published("facade-20230418T134412Z-001.zip", "4773d5875a525d7b824649f82688fb8b0187f5b1ac216e08df6c5573b19a34b9"),
        SplitList("facade/train.flist", 506, "434588ade41359f795ac1669306e6bf9756d4b62692accc5936ec8af46ad8b1b"),
        SplitList("facade/test.flist", 100, "70054a22ebab04362ee1093fe2628cb37ff3dcb7478ce23bea844383cf334713"),
        key_of,
    ),
    traps=(
        "A label map (PNG) and an XML file lie beside every photo (JPEG); only the 606 photos of 1,212 pictures are read.",
        "Both archives hold a label_names.txt and a readme.txt; unpacked into one folder, the second overwrites the first.",
        "The server's certificate has failed for many, so plain http comes first; the names of all photos are checked.",
        "The copies of pix2pix and CycleGAN are squashed to 256 px and renumbered: the paper's split cannot be applied.",
        "The authors validated on the test images; here validation is taken from training.",
    ),
)
