"""The store of masks, read with numpy and pandas beside its own reader."""

import hashlib
import pickle
import tracemalloc
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pennet.errors import UserError
from pennet.mask_sets.store import Entry, StoredMasks, write_masks
from pennet.masks import numbered_mask

NAMES = ["007", "NA", "1e5", "a,b/ü.jpg", 'quo"ted', ""]


def entries(size_px: int = 30) -> list[Entry]:
    return [
        Entry(name, protocol, numbered_mask(protocol, 7, index, size_px, size_px), 7)
        for protocol in ("irregular", "centre")
        for index, name in enumerate(NAMES)
    ]


@pytest.mark.parametrize("size_px", [16, 30, 33])  # with and without bits that fill the last byte
def test_masks_come_back(tmp_path: Path, size_px: int) -> None:
    written = entries(size_px)
    write_masks(tmp_path / "masks", written)
    store = StoredMasks(tmp_path / "masks")
    assert store.protocols == ("irregular", "centre")
    assert store.size_px == size_px
    for protocol in store.protocols:
        expected = np.stack([entry.mask for entry in written if entry.protocol == protocol])
        stored = store.of(protocol)
        assert store.names(protocol) == NAMES
        assert len(stored) == 6
        assert np.array_equal(np.stack(list(stored)), expected)
        assert stored[-1].dtype == np.uint8
        assert np.array_equal(np.stack(list(stored[1:5:2])), expected[1:5:2])
        assert store.hole_ratios(protocol).tolist() == expected.mean(axis=(1, 2)).tolist()
        assert store.digests(protocol) == [hashlib.sha256(mask.tobytes()).hexdigest() for mask in expected]
        with pytest.raises(IndexError):
            stored[6]


def test_files_are_what_they_are_said_to_be(tmp_path: Path) -> None:
    written = entries()
    write_masks(tmp_path / "masks", iter(written))
    packed = np.load(tmp_path / "masks/masks.npy")
    assert packed.shape == (7, 113)  # six irregular masks and the one in the centre; 900 bits
    table = pd.read_csv(tmp_path / "masks/index.csv", dtype={"name": str}, keep_default_na=False)
    assert list(table.columns) == ["name", "protocol", "row", "hole_ratio", "sha256", "seed"]
    assert table.name.tolist() == NAMES * 2
    assert (table.seed == 7).all()
    for line, entry in zip(table.itertuples(), written, strict=True):
        mask = np.unpackbits(packed[line.row])[:900].reshape(30, 30)
        assert np.array_equal(mask, entry.mask)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["masks"]


def test_the_same_masks_have_the_same_bytes_and_take_the_place_of_others(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_masks(tmp_path / name, entries())
    write_masks(tmp_path / "b", entries(16))
    write_masks(tmp_path / "b", entries())
    for name in ("masks.npy", "index.csv"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_one_mask_of_many_pictures_is_stored_once_and_written_as_a_stream(tmp_path: Path) -> None:
    mask = numbered_mask("centre", 0, 0, 512, 512)
    tracemalloc.start()
    write_masks(tmp_path / "masks", (Entry(str(index), "centre", mask.copy(), 0) for index in range(2000)))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 << 20  # unpacked they are 512 MiB
    assert np.load(tmp_path / "masks/masks.npy").shape == (1, 32768)
    store = StoredMasks(tmp_path / "masks")
    assert len(store.of("centre")) == 2000
    assert np.array_equal(store.of("centre")[1999], mask)


def test_stores_go_to_other_processes_as_their_folder(tmp_path: Path) -> None:
    write_masks(tmp_path / "masks", entries())
    store = StoredMasks(tmp_path / "masks")
    assert len(pickle.dumps(store)) < 300
    copy = pickle.loads(pickle.dumps(store.of("irregular")))
    assert np.array_equal(copy[3], store.of("irregular")[3])
    assert copy[3].flags.writeable


@pytest.mark.parametrize(
    ("mask", "said"),
    [
        (np.zeros((8, 9), np.uint8), r"uint8 \(8, 9\)"),
        (np.zeros((2, 2), np.uint8), r"uint8 \(2, 2\)"),
        (np.zeros((8, 8), np.bool_), r"bool \(8, 8\)"),
        (np.full((8, 8), 255, np.uint8), "up to 255"),
    ],
)
def test_what_is_no_mask_is_refused_and_what_was_there_stays(tmp_path: Path, mask: np.ndarray, said: str) -> None:
    write_masks(tmp_path / "masks", entries())
    before = (tmp_path / "masks/index.csv").read_bytes()
    with pytest.raises(ValueError, match=said):
        write_masks(tmp_path / "masks", [Entry("a", "centre", mask, 0)])
    assert (tmp_path / "masks/index.csv").read_bytes() == before


def test_sizes_do_not_mix_and_pictures_come_once(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"uint8 \(9, 9\) .* with S of \(8, 8\)"):
        write_masks(tmp_path / "masks", [Entry(str(side), "a", np.ones((side, side), np.uint8), 0) for side in (8, 9)])
    with pytest.raises(ValueError, match="'x' has two masks of protocol 'a'"):
        write_masks(tmp_path / "masks", [Entry("x", "a", np.ones((8, 8), np.uint8), 0)] * 2)
    with pytest.raises(ValueError, match="no masks for"):
        write_masks(tmp_path / "masks", [])
    assert list(tmp_path.iterdir()) == []


def test_unknown_protocol_is_named_with_those_there_are(tmp_path: Path) -> None:
    write_masks(tmp_path / "masks", entries())
    with pytest.raises(UserError, match=r"no masks of protocol 'center'; it has irregular, centre"):
        StoredMasks(tmp_path / "masks").of("center")


def damage(folder: Path, what: str) -> None:
    index, masks = folder / "index.csv", folder / "masks.npy"
    text = index.read_text()
    if what == "no index":
        index.unlink()
    elif what == "no masks":
        masks.unlink()
    elif what == "columns":
        index.write_text(text.replace("hole_ratio", "ratio"))
    elif what == "row":
        index.write_text(text.replace(",irregular,5,", ",irregular,50,"))
    elif what == "cut":
        index.write_text(text[:-70])
    elif what == "short":
        masks.write_bytes(masks.read_bytes()[:-10])
    elif what == "other":
        np.save(masks, np.zeros(3))
    elif what == "bytes":
        np.save(masks, np.zeros((7, 15), np.uint8))


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("no index", r"index.csv is missing; make the masks again"),
        ("no masks", r"masks.npy is missing; make the masks again"),
        ("columns", r"index.csv is not the table of masks.npy \(its columns are not name, protocol"),
        ("row", r"index.csv is not .* \('' has row 50 of 7\)"),
        ("cut", r"index.csv is not the table"),
        ("short", r"masks.npy holds no masks"),
        ("other", r"masks.npy holds float64 \(3,\), not bit-packed masks"),
        ("bytes", r"masks.npy has 15 bytes a mask, which is no square"),
    ],
)
def test_damage_is_named(tmp_path: Path, what: str, said: str) -> None:
    write_masks(tmp_path / "masks", entries())
    damage(tmp_path / "masks", what)
    with pytest.raises(UserError, match=said):
        StoredMasks(tmp_path / "masks")
