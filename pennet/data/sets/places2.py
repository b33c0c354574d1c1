"""Places2 (Places365-Standard): 1.8 million pictures of scenes, read out of its tars without unpacking."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from pennet.data.sets.spec import (
    Archive,
    DataSet,
    Place,
    PlacesByName,
    Remembered,
    Source,
    archive_source,
    check_complete,
    listing,
    not_this_set,
)
from pennet.data.sources.archives import stream
from pennet.data.sources.download import Remote
from pennet.errors import UserError

LISTS = {"train": "places365_train_standard.txt", "test": "places365_val.txt"}
_TRAIN = re.compile(r"(?:^|/)(data_(?:256|large))(?:_standard)?(/[a-z]/.+\.jpg)$")
_VAL = re.compile(r"(?:^|/)(val_(?:256|large))/(Places365_val_\d{8}\.jpg)$")
_REMEDY = "give the train and val tars and filelist_places365-standard.tar, whole"


def read(paths: Sequence[Path]) -> Source:
    members = listing(paths)
    places = PlacesByName(members, _place)
    if not places:
        raise not_this_set(PLACES2.title, members, "data_256/a/airfield/00000001.jpg", {})
    for split, pattern in (("train", _TRAIN), ("test", _VAL)):
        found = Remembered(match[2] for match in map(pattern.search, members) if match)
        check_complete(f"{PLACES2.title}, {split}", found, _listed(members, LISTS[split]), _REMEDY)
    return archive_source(members, places, own_split="the data set's own train and validation images")


def _place(name: str) -> Place | None:
    """The key is the path from the folder of the set on; it is the same text where nothing comes before that folder."""
    if match := _TRAIN.search(name):
        key, split = match[1] + match[2], "train"
    elif match := _VAL.search(name):
        key, split = f"{match[1]}/{match[2]}", "test"
    else:
        return None
    key = name if key == name else key  # whoever keeps keys keeps no second text
    return Place(key, key, split)


def _listed(members: Mapping[str, Path], file: str) -> Iterator[str]:
    """The pictures of an official list, whose lines are `/a/airfield/00000001.jpg 0`."""
    for name, path in members.items():
        if name.rpartition("/")[2] == file:
            content = next(content for _, content in stream(path, {name}.__contains__))
            return (line.split()[0] for line in io.TextIOWrapper(io.BytesIO(content), "utf-8") if line.strip())
    raise UserError(f"{PLACES2.title}: {file} is missing; {_REMEDY}")


def _tar(file: str, holds: str, size_bytes: int, md5: str, sha256: str) -> Archive:
    urls = (f"http://data.csail.mit.edu/places/places365/{file}", f"https://data.csail.mit.edu/places/places365/{file}")
    remote = Remote(urls, sha256, md5, size_bytes, kind="tar")
    return Archive(file, holds, remote, "published size, md5 and sha256; every name of the official lists")


PLACES2 = DataSet(
    name="places2",
    title="Places2 (Places365-Standard, 256 px)",
    homepage="http://places2.csail.mit.edu/download.html",
    holds="Scenes of 365 classes: 3,068 to 5,000 training pictures and 100 validation pictures of each.",
    num_images=1_839_960,
    splits=(("train", 1_803_460), ("test", 36_500)),
    split_origin="the data set's own; its validation images are the test, as in the paper by all signs",
    licence="Images for non-commercial research and teaching only, never to be passed on; their owners keep the copyright.",
    must_accept=True,
    citation="""\
@article{zhou2017places, author = {Bolei Zhou and Agata Lapedriza and Aditya Khosla and Aude Oliva and Antonio Torralba},
  title = {Places: A 10 Million Image Database for Scene Recognition},
  journal = {IEEE Transactions on Pattern Analysis and Machine Intelligence}, year = {2017}}""",
    archives=(
        _tar(
            "train_256_places365standard.tar",
            "1,803,460 training images",
            26_103_685_120,
            "53ca1c756c3d1e7809517cc47c5561c5",
            "0ade5d7d38c682aa0203014a2b99ad3bf608bf1de0f151dc0d80efba54660a0a",
        ),
        _tar(
            "val_256.tar",
            "36,500 validation images",
            525_158_400,
            "e27b17d8d44f4af9a78502beb927f808",
            "24b4e639ef12a0012af525bc4cb443e4ab4aaea8369a1fb009b70e4a4aad5d48",
        ),
        _tar(
            "filelist_places365-standard.tar",
            "the lists of both",
            67_498_496,
            "35a0585fee1fa656440f3ab298f8479c",
            "520699e00d69b63ddc29fac54645aa00ce1c10ca42e288960aa1cf791d6e9aa9",
        ),
    ),
    disk_bytes=53_400_000_000,
    read=read,
    known=(
        "About 0.25 % of the images are grey; they stay in.",
        "Broken images have been reported without a list of them.",
    ),
    traps=(
        "Basenames repeat in every class, so a key is the path with its class; some classes have a second level.",
        "These images are squashed to 256x256. The large tars (105 and 2.1 GB) can be given instead: their smaller side is "
        "512 px only where the original had it, so some are below 256.",
        "The server speaks plain http and is often down: the checksum is the only protection.",
        "The official test images have no public labels and are not used.",
    ),
)
