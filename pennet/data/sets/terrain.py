"""The pictures that come with the project."""

from __future__ import annotations

from pennet.data.sets import packed
from pennet.data.sets.spec import Archive, DataSet
from pennet.data.sources.download import Remote

ARCHIVE = "data/embedded/terrain-256.zip"
SHA256 = "0ae0cba1fe66f2e5a88aea282012f816cd158e8293ba58adb6b13798cfa0eb68"

TERRAIN = DataSet(
    name="terrain",
    title="Terrain",
    homepage="https://play0ad.com",
    holds="Ground, cliff and paving textures of the game 0 A.D., 256x256 px; they come with the project.",
    num_images=281,
    splits=(("train", 209), ("test", 72)),
    split_origin="the archive's own manifest; look-alikes stay together",
    licence="CC BY-SA 3.0: it may be used, changed and passed on, with its authors named and under the same licence.",
    must_accept=False,
    citation="""\
@misc{0ad, author = {{Wildfire Games and contributors}},
  title = {0 {A.D.}, Debian source package 0ad-data 0.0.26-1}, year = {2022}}""",
    archives=(
        Archive(
            "terrain-256.zip",
            "everything, with the manifest",
            Remote((ARCHIVE,), SHA256, size_bytes=10_332_824, kind="zip"),
            "sha256 of the archive and of every picture",
        ),
    ),
    disk_bytes=20_700_000,
    read=packed.read,
    known=("Near duplicates were left out when it was made.",),
)
