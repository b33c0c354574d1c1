"""A data set of the Hugging Face hub, at a pinned revision: parquet, or files of pictures."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from pennet.atomic import write_json
from pennet.data.sets.folder import SPLIT_OF_WORD, are_splits, places_of
from pennet.data.sets.spec import DataSet, Place, Source, archive_source, is_picture, listing
from pennet.data.sources.search import a_few, shown
from pennet.errors import TransientError, UserError
from pennet.extras import require

RECORD = "hub.json"
"""Written last: which repository and revision a folder holds, and the sha256 of its files."""
_NOT_THE_PAPERS = {
    "mattymchen/celeba-hq": "StarGAN-v2's 28,000/2,000",
    "korexyz/celeba-hq-256x256": "StarGAN-v2's 28,000/2,000",
    "jxie/celeba-hq": "StarGAN-v2's 28,000/2,000",
    "eurecom-ds/celeba_hq_mask": "CelebA's partition",
    "Xpitfire/cmp_facade": "its uploader's 378/114/114",
}
"""Copies of the paper's data sets that have lost the names, so the paper's split cannot be applied."""
_REFUSED = {
    "huggan/CelebA-HQ": "its 30,000 faces have lost the index, and nobody says in which order they are",
    "Chris1/celebA-HQ": "its 270,000 rows are the same faces at all resolutions, so every test face would be trained on",
}
_ROWS = 64


def download(repository: str, revision: str, folder: Path) -> None:
    """Brings the parquet files of a repository, or its pictures where it has none; what is there already is kept.

    Args:
        repository: `owner/name` of a data set.
        revision: a commit, 40 hexadecimal digits; a branch or a tag may move.
        folder: where the files go.

    Raises:
        UserError: an unpinned revision, no such data set or no right to it, no pictures, another sha256; names it.
        TransientError: the hub or the way to it failed.
    """
    if not re.fullmatch(r"[0-9a-f]{40}", revision):
        pinned = "give a commit, 40 hexadecimal digits, from the repository's list of commits"
        raise UserError(f"{repository}: revision {revision!r} is not pinned; {pinned}")
    if repository in _REFUSED:
        raise UserError(f"{repository}: {_REFUSED[repository]}; use data set `celebahq` with CelebAMask-HQ.zip")
    require("data", "huggingface_hub", "pyarrow")
    import huggingface_hub

    try:
        info = huggingface_hub.HfApi().dataset_info(repository, revision=revision, files_metadata=True)
        files = {file.rfilename: file for file in info.siblings or []}
        wanted = [name for name in files if name.endswith(".parquet")] or [name for name in files if is_picture(name)]
        for name in wanted:
            huggingface_hub.hf_hub_download(repository, name, repo_type="dataset", revision=revision, local_dir=folder)
    except Exception as error:
        explained = _explained(error, f"{repository} at {revision}")
        if explained is None:
            raise
        raise explained from error
    if not wanted:
        raise UserError(f"{repository}: holds neither parquet nor pictures, but {a_few(files) or 'nothing'}; choose another")
    found = {}
    for name in wanted:
        with (folder / name).open("rb") as file:
            found[name] = hashlib.file_digest(file, "sha256").hexdigest()
        large = files[name].lfs
        if large and large.sha256 != found[name]:  # the hub's own client compares sizes only
            (folder / name).unlink()
            raise TransientError(f"{repository}: {name}: its sha256 is not the hub's; download it again")
    write_json(folder / RECORD, {"repository": repository, "revision": revision, "sha256": found})


def read(paths: Sequence[Path]) -> Source:
    if len(paths) != 1 or not (paths[0] / RECORD).is_file():
        raise UserError(f"{', '.join(map(shown, paths))}: no folder with {RECORD}; make it by downloading a repository")
    record = json.loads((paths[0] / RECORD).read_text(encoding="utf-8"))
    repository = record["repository"]
    own_split = f"{_NOT_THE_PAPERS.get(repository, 'its own')} ({repository}), which is not the paper's"
    files = sorted(name for name in record["sha256"] if name.endswith(".parquet"))
    if not files:
        members = {name: path for name, path in listing(paths).items() if name in record["sha256"]}
        places = places_of(members)
        return archive_source(members, places, own_split if any(place.split for place in places.values()) else "")
    require("data", "pyarrow")
    return _parquet_source(paths[0], files, own_split)


def _parquet_source(folder: Path, files: Sequence[str], own_split: str) -> Source:
    """Rows of parquet files; a key is the file and the row, the only name that a row has."""
    from pyarrow import parquet

    tables = {name: parquet.ParquetFile(folder / name) for name in files}
    columns = {name: _image_column(f"{folder / name}", table.schema_arrow) for name, table in tables.items()}
    splits = {name: _split_of(name) for name in files}
    says = are_splits(splits.values())
    places = {}
    for name, table in tables.items():
        for row in range(table.metadata.num_rows):
            key = _row(name, row)
            places[key] = Place(key, key, splits[name] if says else None)

    def contents() -> Iterator[tuple[str, bytes]]:
        for name in files:
            row = 0
            with parquet.ParquetFile(folder / name) as table:
                for batch in table.iter_batches(_ROWS, columns=[columns[name]]):
                    for value in batch.column(columns[name]).to_pylist():
                        content = value["bytes"] if isinstance(value, dict) else value
                        if content is None:
                            raise UserError(f"{folder / name}: row {row} holds no picture; choose another revision")
                        yield _row(name, row), content
                        row += 1

    return Source(places, contents, own_split if says else "")


def _image_column(where: str, schema: Any) -> str:
    """The column of pictures: bytes, or a record with bytes; `image` if there are several."""
    from pyarrow import types

    def holds_bytes(kind: Any) -> bool:
        if types.is_struct(kind):
            return kind.get_field_index("bytes") >= 0
        return types.is_binary(kind) or types.is_large_binary(kind)

    columns = [field.name for field in schema if holds_bytes(field.type)]
    if "image" in columns or len(columns) == 1:
        return "image" if "image" in columns else columns[0]
    raise UserError(f"{where}: which column holds the pictures ({', '.join(columns) or 'none'})? choose another data set")


def _split_of(name: str) -> str | None:
    """`data/train-00000-of-00002.parquet` or `train/0000.parquet` -> `train`."""
    *folders, file = name.lower().split("/")
    words = [re.split(r"[-_.]", file)[0], *reversed(folders)]
    return next((SPLIT_OF_WORD[word] for word in words if word in SPLIT_OF_WORD), None)


def _row(name: str, row: int) -> str:
    return f"{name}/{row:07d}"


def _explained(error: Exception, where: str) -> UserError | None:
    """The hub's or the network's failure in a sentence; None for any other error."""
    status = getattr(getattr(error, "response", None), "status_code", None)
    if status in (401, 403, 404):
        remedy = "correct its name or revision, or log in and ask for access"
        return UserError(f"{where}: cannot be downloaded (the hub answers {status}); {remedy}")
    is_network = isinstance(error, OSError) or type(error).__module__.partition(".")[0] in ("httpx", "httpx2")
    return TransientError(f"{where}: cannot be downloaded ({error}); try again") if status or is_network else None


HUB = DataSet(
    name="hub",
    title="A data set of the Hugging Face hub",
    homepage="https://huggingface.co/datasets",
    holds="The pictures of a repository, in parquet or as files, at a revision that is pinned.",
    num_images=None,
    splits=(),
    split_origin="the repository's own where all its files are named after splits; otherwise a seeded share of the pictures",
    licence="Whatever the page of the repository says, which may be wrong about the pictures' owners.",
    must_accept=True,
    citation="",
    archives=(),
    disk_bytes=None,
    read=read,
    known=tuple(f"`{name}` is refused: {reason}." for name, reason in _REFUSED.items()),
    traps=(
        "A branch or tag may move, so a revision is a commit of 40 hexadecimal digits.",
        "Parquet mostly keeps no names of pictures: a key is the file and the row, and nobody else's split can be applied.",
        *(
            f"`{name}` has {whose}, not the paper's split, though sizes may agree."
            for name, whose in _NOT_THE_PAPERS.items()
        ),
    ),
)
