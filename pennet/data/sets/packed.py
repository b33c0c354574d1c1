"""Archives with a manifest: what `pennet pack` makes of a folder of photos."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from pennet.data.sets.spec import Place, Source, of_ones_own
from pennet.data.sources.manifest import open_archive, read_manifest, read_member
from pennet.errors import UserError


def read(paths: Sequence[Path]) -> Source:
    """Reads `manifest.csv` and, one at a time, the pictures that it lists; the splits are the manifest's."""
    if len(paths) != 1:
        raise UserError(f"{len(paths)} archives given; give one, with a manifest.csv")
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


PACKED = of_ones_own(
    "packed",
    "Your own pictures, packed",
    holds="The pictures of an archive that `pennet pack` has made, or of any zip file with such a `manifest.csv`.",
    split_origin="the archive's own manifest",
    read=read,
)
