"""The masks of a test set on the disk, bit-packed: each distinct one once, and a table of which picture has which.

`masks.npy` holds a row of `numpy.packbits` for each distinct mask, `index.csv` a line for each picture of each protocol.
"""

from __future__ import annotations

import csv
import hashlib
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, overload

import numpy as np
from numpy.typing import NDArray

from pennet.atomic import replacing_folder
from pennet.errors import UserError
from pennet.masks.mask import Mask

MASKS, INDEX = "masks.npy", "index.csv"
COLUMNS = ["name", "protocol", "row", "hole_ratio", "sha256", "seed"]
SMALLEST_SIDE_PX = 4
"""From here on the bytes of a packed mask tell its side."""


class Entry(NamedTuple):
    """The mask of a picture under a protocol."""

    name: str
    """Of the picture."""
    protocol: str
    mask: Mask
    """uint8 (S, S), 1 = hole."""
    seed: int
    """That the protocol's masks were drawn with."""


def write_masks(folder: Path, entries: Iterable[Entry]) -> None:
    """Writes a store, which takes the folder's place once it is whole; one mask at a time is in memory.

    Args:
        folder: is replaced.
        entries: masks of one size; the pictures of a protocol in their order.

    Raises:
        ValueError: no entries; something other than a mask, or one of another size; a picture twice in a protocol.
        OSError: see `replacing_folder`.
    """
    rows: dict[bytes, int] = {}
    seen: set[tuple[str, str]] = set()
    shape: tuple[int, ...] = ()
    with (
        replacing_folder(folder) as fresh,
        (fresh / MASKS).open("wb") as file,
        (fresh / INDEX).open("w", encoding="utf-8", newline="") as table,
    ):
        writer = csv.writer(table, lineterminator="\n")
        writer.writerow(COLUMNS)
        for name, protocol, mask, seed in entries:
            if not shape:
                shape = mask.shape
                _write_header(file, 0, shape)
            _check(name, protocol, mask, shape)
            if (protocol, name) in seen:
                raise ValueError(f"picture {name!r} has two masks of protocol {protocol!r}")
            seen.add((protocol, name))
            digest = hashlib.sha256(mask.tobytes())
            if digest.digest() not in rows:
                rows[digest.digest()] = len(rows)
                file.write(np.packbits(mask).tobytes())
            row = rows[digest.digest()]
            writer.writerow([name, protocol, row, np.count_nonzero(mask) / mask.size, digest.hexdigest(), seed])
        if not shape:
            raise ValueError(f"no masks for {folder}")
        _write_header(file, len(rows), shape)


def _write_header(file: BinaryIO, num_rows: int, shape: tuple[int, ...]) -> None:
    """NumPy's header leaves room for more rows, so that it can be written again over the first one."""
    file.seek(0)
    header = {"descr": "|u1", "fortran_order": False, "shape": (num_rows, math.ceil(math.prod(shape) / 8))}
    np.lib.format.write_array_header_1_0(file, header)


def _check(name: str, protocol: str, mask: Mask, shape: tuple[int, ...]) -> None:
    square = len(shape) == 2 and shape[0] == shape[1] >= SMALLEST_SIDE_PX
    if not square or mask.shape != shape or mask.dtype != np.uint8 or mask.max() > 1:
        what = f"{mask.dtype} {mask.shape} up to {mask.max()}"
        raise ValueError(f"mask of {name!r} under {protocol!r} is {what}, not uint8 (S, S) in {{0, 1}} with S of {shape}")


class StoredMasks:
    """The masks that `write_masks` wrote; they stay on the disk until they are asked for.

    It goes to other processes as its folder, and is opened there again.

    Args:
        folder: of the store.

    Raises:
        UserError: a file is missing or is not what `write_masks` writes; names it.
    """

    def __init__(self, folder: Path):
        self.folder = Path(folder)
        self._packed = self._open()
        self.size_px = math.isqrt(8 * self._packed.shape[1])
        self._index = self._read_index()

    def __reduce__(self) -> tuple[type[StoredMasks], tuple[Path]]:
        return StoredMasks, (self.folder,)

    @property
    def protocols(self) -> tuple[str, ...]:
        """In the order in which they were written."""
        return tuple(self._index)

    def names(self, protocol: str) -> list[str]:
        """Of the pictures that have a mask of the protocol, in order. Raises as `of`."""
        return list(self._of(protocol).names)

    def hole_ratios(self, protocol: str) -> NDArray[np.float64]:
        """(N,). Raises as `of`."""
        return np.array(self._of(protocol).hole_ratio)

    def digests(self, protocol: str) -> list[str]:
        """SHA-256 of each mask's pixels, uint8 in {0, 1}, in hexadecimal. Raises as `of`."""
        return list(self._of(protocol).sha256)

    def of(self, protocol: str) -> MasksOf:
        """The masks of a protocol.

        Raises:
            UserError: there is none of that name; lists those there are.
        """
        return MasksOf(self, np.array(self._of(protocol).row))

    def mask_in_row(self, row: int) -> Mask:
        """The mask in a row of `masks.npy`: uint8 (S, S)."""
        side = self.size_px
        return np.unpackbits(self._packed[row], count=side * side).reshape(side, side)

    def _of(self, protocol: str) -> _Lines:
        try:
            return self._index[protocol]
        except KeyError:
            known = ", ".join(self.protocols)
            raise UserError(f"{self.folder} has no masks of protocol {protocol!r}; it has {known}") from None

    def _open(self) -> NDArray[np.uint8]:
        path = self.folder / MASKS
        try:
            packed = np.load(path, mmap_mode="r", allow_pickle=False)
        except FileNotFoundError as error:
            raise UserError(f"{path} is missing; make the masks again") from error
        except (ValueError, EOFError) as error:
            raise UserError(f"{path} holds no masks ({error}); make them again") from error
        if packed.dtype != np.uint8 or packed.ndim != 2:
            raise UserError(f"{path} holds {packed.dtype} {packed.shape}, not bit-packed masks; make them again")
        side = math.isqrt(8 * packed.shape[1])
        if side < SMALLEST_SIDE_PX or math.ceil(side**2 / 8) != packed.shape[1]:
            raise UserError(f"{path} has {packed.shape[1]} bytes a mask, which is no square; make the masks again")
        return packed

    def _read_index(self) -> dict[str, _Lines]:
        path, index = self.folder / INDEX, dict[str, _Lines]()
        try:
            with path.open(encoding="utf-8", newline="") as file:
                reader = csv.reader(file)
                if next(reader, None) != COLUMNS:
                    raise ValueError(f"its columns are not {', '.join(COLUMNS)}")
                for name, protocol, row, ratio, sha256, _seed in reader:
                    if not 0 <= int(row) < len(self._packed):
                        raise ValueError(f"{name!r} has row {row} of {len(self._packed)}")
                    lines = index.setdefault(protocol, _Lines([], [], [], []))
                    for column, value in zip(lines, (name, int(row), float(ratio), sha256), strict=True):
                        column.append(value)
        except FileNotFoundError as error:
            raise UserError(f"{path} is missing; make the masks again") from error
        except (ValueError, csv.Error) as error:
            raise UserError(f"{path} is not the table of {MASKS} ({error}); make the masks again") from error
        return index


class _Lines(NamedTuple):
    """Lines of the table, by column."""

    names: list[Any]
    row: list[Any]
    hole_ratio: list[Any]
    sha256: list[Any]


class MasksOf(Sequence[Mask]):
    """Masks in a store: `[i]` is uint8 (S, S), 1 = hole; a slice is a view of some of them."""

    def __init__(self, store: StoredMasks, rows: NDArray[np.int64]):
        self._store, self._rows = store, rows

    def __len__(self) -> int:
        return len(self._rows)

    @overload
    def __getitem__(self, index: int) -> Mask: ...
    @overload
    def __getitem__(self, index: slice) -> MasksOf: ...
    def __getitem__(self, index: int | slice) -> Mask | MasksOf:
        if isinstance(index, slice):
            return MasksOf(self._store, self._rows[index])
        return self._store.mask_in_row(self._rows[index])
