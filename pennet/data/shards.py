"""Prepared pictures in tar shards: any one is read by its place, and nothing but places is kept in memory.

A folder holds `shard-00000.tar` and so on, and `index.parquet` with a row for each picture, in the order of the shards:

| column | |
| --- | --- |
| `key` | the picture's name, unique in the data set |
| `split` | `train`, `val` or `test`; they come in this order, each in the order of its source, each in shards of its own |
| `group` | pictures of a group look alike |
| `width_px`, `height_px` | of the source picture, the right side up |
| `shard`, `offset`, `size` | number of the shard; where the content begins in it and how long it is, in bytes |
| `sha256` | of the content, 32 bytes |
| `fingerprint` | 64 bits that look-alikes share (`pennet.data.duplicates`) |

Contents are JPEG or PNG, RGB, square, all of one size.
"""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, SupportsIndex

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from tqdm import tqdm

from pennet.data.picture_files import Picture
from pennet.errors import UserError
from pennet.extras import require

if TYPE_CHECKING:
    from pyarrow import Table

INDEX = "index.parquet"
COLUMNS = ("key", "split", "group", "width_px", "height_px", "shard", "offset", "size", "sha256", "fingerprint")
SPLITS = ("train", "val", "test")
"""In the order of the index."""
_REMEDY = "prepare the data set again"


def shard_name(shard: int) -> str:
    return f"shard-{shard:05d}.tar"


class Shards(Sequence[Picture]):
    """The pictures of a split, each uint8 (H, W, 3), decoded when it is asked for.

    It pickles as folder and split. Each process opens the shards that it reads for itself, also after a fork; threads may
    share one.

    Args:
        folder: a prepared data set.
        split: `train`, `val` or `test`; one without pictures is empty.

    Raises:
        UserError: no prepared data set is there, or no such split. Reading raises it for a shard that is missing, cut short
            or damaged, and names it.
    """

    def __init__(self, folder: Path, split: str) -> None:
        if split not in SPLITS:
            raise UserError(f"split {split!r}: must be one of {', '.join(SPLITS)}")
        if not (folder / INDEX).is_file():
            raise UserError(f"{folder / INDEX}: no such file, so no prepared data set; {_REMEDY}")
        self.folder, self.split = folder, split
        self._files: dict[int, BinaryIO] = {}
        self._process = os.getpid()

    def __reduce__(self) -> tuple[Callable[[Path, str], Shards], tuple[Path, str]]:
        return Shards, (self.folder, self.split)

    def __len__(self) -> int:
        return len(self.shard_of)

    def __getitem__(self, index: SupportsIndex) -> Picture:  # type: ignore[override]  # no slices: they would not be lazy
        content = self.content(index)
        try:
            # torchvision and OpenCV take 0.95 and 0.9 times as long for a JPEG of 256 px, 0.8 and 0.7 for a PNG of 64 px.
            # They give the same pixels only where they bring the same libjpeg, and are not always there.
            return np.array(Image.open(io.BytesIO(content)))
        except Exception as error:  # on broken files decoders stumble in any way, not only as Pillow documents
            raise UserError(f"{self._where(index)} is damaged ({error}); {_REMEDY}") from error

    def content(self, index: SupportsIndex) -> bytes:
        """The stored file of a picture, JPEG or PNG."""
        shard, offset, size = (int(column[index]) for column in self._places)
        content = _read_at(self._file(shard), size, offset)
        if len(content) < size:
            raise UserError(f"{self._where(index)} is cut short: the shard ends before byte {offset + size:,}; {_REMEDY}")
        return content

    def key(self, index: SupportsIndex) -> str:
        """The name of a picture; for those of many, `keys` is faster."""
        place = range(len(self))[index]
        return str(self._column("key").slice(place, 1)[0])

    def keys(self) -> list[str]:
        """The names of all pictures of the split."""
        return [str(key) for key in self._column("key").to_pylist()]

    @property
    def shard_of(self) -> NDArray[np.int32]:
        """(N,) the shard that each picture is in."""
        return self._places[0]

    def verify(self) -> None:
        """Compares every content with its checksum.

        Raises:
            UserError: one differs; names it and its shard.
        """
        for index, sha256 in enumerate(tqdm(self._column("sha256"), desc=f"verify {self.split}", unit="image", delay=1)):
            if hashlib.sha256(self.content(index)).digest() != sha256.as_py():
                raise UserError(f"{self._where(index)} is not what was written: its sha256 is another; {_REMEDY}")

    @cached_property
    def _places(self) -> tuple[NDArray[np.int32], NDArray[np.int64], NDArray[np.int64]]:
        table = self._rows("shard", "offset", "size")
        shard, offset, size = (table[name].to_numpy() for name in ("shard", "offset", "size"))
        return shard, offset, size

    def _column(self, name: str):  # type: ignore[no-untyped-def]  # pyarrow has no types
        return self._rows(name)[name]

    def _rows(self, *columns: str) -> Table:
        """Columns of the rows of the split."""
        require("data", "pyarrow")
        from pyarrow import ArrowException, parquet

        path = self.folder / INDEX
        try:
            return parquet.read_table(path, columns=list(columns), filters=[("split", "=", self.split)], partitioning=None)
        except (ArrowException, OSError) as error:
            raise UserError(f"{path}: is no index of pictures ({error}); {_REMEDY}") from error

    def _file(self, shard: int) -> BinaryIO:
        if self._process != os.getpid():
            self._files, self._process = {}, os.getpid()
        if shard not in self._files:
            path = self.folder / shard_name(shard)
            try:
                self._files[shard] = path.open("rb", buffering=0)
            except FileNotFoundError as error:
                raise UserError(f"{path}: no such file, though the index names it; {_REMEDY}") from error
        return self._files[shard]

    def _where(self, index: SupportsIndex) -> str:
        return f"{self.folder / shard_name(int(self.shard_of[index]))}: {self.key(index)!r}"


def _read_at(file: BinaryIO, size: int, offset: int) -> bytes:
    """Leaves the file's position alone where the system can, so that threads may share it."""
    if hasattr(os, "pread"):
        return os.pread(file.fileno(), size, offset)
    with Path(file.name).open("rb") as own:
        own.seek(offset)
        return own.read(size)
