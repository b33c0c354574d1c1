"""The pictures that come with the project; also whatever `pennet pack` has packed, which has the same manifest."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from pennet.data.download import Remote
from pennet.data.manifest import open_archive, read_manifest, read_member
from pennet.data.sets.spec import Archive, DataSet, Place, Source
from pennet.errors import UserError

ARCHIVE = "data/embedded/terrain-256.zip"
SHA256 = "0ae0cba1fe66f2e5a88aea282012f816cd158e8293ba58adb6b13798cfa0eb68"


def read(paths: Sequence[Path]) -> Source:
    if len(paths) != 1:
        raise UserError(f"terrain: {len(paths)} archives given; give one, with a manifest.csv")
    with open_archive(paths[0]) as archive:
        entries = read_manifest(archive)
        licences = [name for name in archive.namelist() if name.upper().startswith("LICENSE") and "/" not in name]
        notices = {name: read_member(archive, name) for name in licences}

    def contents() -> Iterator[tuple[str, bytes]]:
        with open_archive(paths[0]) as archive:
            for entry in entries:
                content = read_member(archive, entry.file)
                if hashlib.sha256(content).hexdigest() != entry.sha256:
                    raise UserError(f"{paths[0]}: {entry.file}: its sha256 is not the manifest's; download or pack it again")
                yield entry.file, content

    places = {entry.file: Place(entry.file, entry.group, entry.split) for entry in entries}
    return Source(places, contents, own_split="the archive's own manifest", notices=notices)


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
    read=read,
    known=("Near duplicates were left out when it was made.",),
)
