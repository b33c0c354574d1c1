"""What a prepared data set holds, and what of a source does not get there."""

import csv
import hashlib
import io
import json
import struct
import tracemalloc
import zlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image, ImageCms

from pennet.data.pictures.shards import SPLITS, Shards
from pennet.data.preparing import assembling
from pennet.data.preparing.prepare import prepare
from pennet.data.sets.folder import FOLDER
from pennet.data.sets.terrain import TERRAIN
from pennet.errors import UserError
from pennet.in_order import processes
from tests.data.pictures import SETTINGS, checksums, decoded, encoded, photo, prepared, source_of, split_of
from tests.project import ROOT


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def turned(image: Image.Image, kind: str) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6
    return encoded(image, kind, exif=exif)


def profile() -> bytes:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def deep_png() -> bytes:
    """RGB of 16 bits, which Pillow reads but does not write."""
    pixels = 257 * np.array(photo(0, 32, 32)).astype(">u2")
    lines = b"".join(b"\0" + line.tobytes() for line in pixels)

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 32, 32, 16, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(lines)) + chunk(b"IEND", b"")


AS_IT_IS = {
    "JPEG": encoded(photo(0, 32, 32), "JPEG", quality=90),
    "progressive JPEG": encoded(photo(0, 32, 32), "JPEG", progressive=True),
    "PNG": encoded(photo(0, 32, 32)),
}
ANEW = {
    "larger": encoded(photo(0, 33, 32), "JPEG"),
    "turned JPEG": turned(photo(0, 32, 32), "JPEG"),
    "turned PNG": turned(photo(0, 32, 32), "PNG"),
    "profile": encoded(photo(0, 32, 32), "JPEG", icc_profile=profile()),
    "grey JPEG": encoded(photo(0, 32, 32).convert("L"), "JPEG"),
    "grey PNG": encoded(photo(0, 32, 32).convert("L")),
    "palette": encoded(photo(0, 32, 32).quantize(64)),
    "opaque RGBA": encoded(photo(0, 32, 32).convert("RGBA")),
    "CMYK": encoded(photo(0, 32, 32).convert("CMYK"), "JPEG"),
    "16 bits": deep_png(),
    "WebP": encoded(photo(0, 32, 32), "WEBP", lossless=True),
    "animated": encoded(photo(0, 32, 32), save_all=True, append_images=[photo(1, 32, 32)]),
}


@pytest.mark.parametrize("content", AS_IT_IS.values(), ids=AS_IT_IS)
def test_a_plain_picture_of_the_size_keeps_its_bytes(tmp_path: Path, content: bytes) -> None:
    shards = Shards(prepared({"train/a": content}, tmp_path), "train")
    assert shards.content(0) == content
    assert np.array_equal(shards[0], decoded(content))


@pytest.mark.parametrize("content", ANEW.values(), ids=ANEW)
def test_any_other_picture_is_stored_as_png_without_loss(tmp_path: Path, content: bytes) -> None:
    shards = Shards(prepared({"train/a": content}, tmp_path), "train")
    image = Image.open(io.BytesIO(shards.content(0)))
    assert (image.format, image.mode, image.size) == ("PNG", "RGB", (32, 32))
    expected = decoded(content)
    if Image.open(io.BytesIO(content)).getexif():
        expected = np.rot90(expected, -1)
    assert np.array_equal(shards[0], expected[:32, :32])


@pytest.mark.parametrize("name", ["nearest", "box", "bilinear", "bicubic", "lanczos"])
def test_filters_are_pillows(tmp_path: Path, name: str) -> None:
    image = photo(3, 101, 67)
    shards = Shards(prepared({"train/a": encoded(image)}, tmp_path, resize_filter=name), "train")
    square = image.crop((17, 0, 84, 67))
    assert np.array_equal(shards[0], np.array(square.resize((32, 32), getattr(Image.Resampling, name.upper()))))


def test_files_that_are_no_pictures_are_on_the_card(tmp_path: Path) -> None:
    files = {"train/a": encoded(photo(0))}
    for left_out in ("", "2 of other types (2 .gif): a.gif, b.gif"):
        source = replace(source_of(files), left_out=left_out)
        prepare(FOLDER, source, split_of(files), tmp_path / "out", **SETTINGS, partial_dir=tmp_path / "partial")
        assert json.loads((tmp_path / "out/card.json").read_text()).get("no_pictures", "") == left_out


def test_rejected_pictures_are_listed_and_stop_nothing_up_to_the_ratio(tmp_path: Path) -> None:
    good = {f"train/{n}": encoded(photo(n)) for n in range(8)}
    clear = photo(20).convert("RGBA")
    clear.putalpha(7)
    bad = {
        "train/none": b"no picture",
        "train/cut": encoded(photo(21), "JPEG")[:-200],
        "train/small": encoded(photo(22, 31, 50)),
        "test/clear": encoded(clear),
    }
    files = bad | good | {"test/a": encoded(photo(30))}
    with pytest.raises(
        UserError, match=r"4 of 13 pictures cannot be used, more than max_rejected_ratio 0\.3; repair"
    ) as error:
        prepared(files, tmp_path, max_rejected_ratio=0.3)
    assert "\n  - train/none: cannot be read as a picture" in str(error.value)
    assert "\n  - train/small: 31x50 px is smaller than 32 px; leave it out, bring it larger, or prepare" in str(error.value)
    assert [row["key"] for row in rows(tmp_path / "partial/rejected.csv")] == list(bad)
    assert not (tmp_path / "out").exists()

    folder = prepared(files, tmp_path, max_rejected_ratio=0.31)
    assert [row["key"] for row in rows(folder / "rejected.csv")] == list(bad)
    assert "transparency" in rows(folder / "rejected.csv")[-1]["reason"]
    assert Shards(folder, "train").keys() == list(good)
    assert json.loads((folder / "card.json").read_text())["num_rejected"] == 4
    assert not (tmp_path / "partial").exists()


def test_the_share_that_is_allowed_is_allowed_whatever_it_is_as_a_binary_number(tmp_path: Path) -> None:
    files = {f"train/{n}": encoded(photo(n)) for n in range(21)} | {f"train/bad {n}": b"" for n in range(29)}
    assert 0.58 * 50 < 29
    assert len(rows(prepared(files, tmp_path, max_rejected_ratio=0.58) / "rejected.csv")) == 29
    with pytest.raises(UserError, match=r"29 of 50 pictures cannot be used, more than max_rejected_ratio 0\.57"):
        prepared(files, tmp_path, max_rejected_ratio=0.57)


def test_a_split_of_which_nothing_is_left_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="nothing is left of the test split"):
        prepared({"train/a": encoded(photo(0)), "test/b": b""}, tmp_path, max_rejected_ratio=0.9)


def test_look_alikes_of_other_splits_are_left_out_and_listed(tmp_path: Path) -> None:
    files = {
        "train/like test": encoded(photo(0).resize((80, 80))),
        "train/like val": encoded(photo(1), "JPEG", quality=80),
        "train/own": encoded(photo(2)),
        "train/own again": encoded(photo(2)),
        "val/like test": encoded(photo(3)),
        "val/b": encoded(photo(1)),
        "test/c": encoded(photo(0)),
        "test/d": encoded(photo(3)),
    }
    split = replace(split_of(files), left_out=("train/of a group",))
    counts = prepare(FOLDER, source_of(files), split, tmp_path / "out", **SETTINGS, partial_dir=tmp_path / "partial")
    assert counts == {"train": 2, "val": 1, "test": 2}
    left_out = rows(tmp_path / "out/left_out.csv")
    assert [(row["key"], row["like"], row["reason"]) for row in left_out[:-1]] == [
        ("train/like test", "test/c", "looks like a test picture"),
        ("train/like val", "val/b", "looks like a val picture"),
        ("val/like test", "test/d", "looks like a test picture"),
    ]
    assert all(0 <= int(row["distance"]) <= 4 for row in left_out[:-1])
    assert left_out[-1]["key"] == "train/of a group"
    card = json.loads((tmp_path / "out/card.json").read_text())
    assert card["num_left_out"] == 4
    assert card["num_alike_within"] == {"train": 2, "val": 0, "test": 0}


def test_pictures_in_no_split_are_passed_over(tmp_path: Path) -> None:
    files = {f"train/{n}": encoded(photo(n)) for n in range(4)} | {"train/3": b"never looked at"}
    split = split_of({"train/0": b"", "train/2": b""})
    prepare(FOLDER, source_of(files), split, tmp_path / "out", **SETTINGS, partial_dir=tmp_path / "partial")
    assert Shards(tmp_path / "out", "train").keys() == ["train/0", "train/2"]


def test_bytes_do_not_depend_on_the_number_of_workers(tmp_path: Path) -> None:
    files = {f"{SPLITS[n % 3]}/{n}": encoded(photo(n), ("PNG", "JPEG")[n % 2]) for n in range(70)}
    expected = checksums(prepared(files, tmp_path / "0"))
    assert {"index.parquet", "card.json", "digests.json", "left_out.csv", "rejected.csv"} < set(expected)
    for num_workers in (1, 2):
        with processes(num_workers) as workers:
            assert checksums(prepared(files, tmp_path / str(num_workers), workers=workers)) == expected


def test_terrain_comes_with_its_licence_and_the_digests_of_plain_arrays(tmp_path: Path) -> None:
    source = TERRAIN.read([ROOT / "data/embedded/terrain-256.zip"])
    of = {place.key: place.split or "" for place in list(source.places.values())[::9]}
    settings = SETTINGS | {"partial_dir": tmp_path / "partial"}
    prepare(TERRAIN, source, replace(split_of({}), of=of, origin="own"), tmp_path / "out", **settings)
    assert b"textures from the game 0 A.D." in (tmp_path / "out/LICENSE.txt").read_bytes()
    digests = json.loads((tmp_path / "out/digests.json").read_text())
    assert set(digests) == {"train", "test"}
    for split, digest in digests.items():
        sha256 = hashlib.sha256()
        contents = [item.content for item in source.items() if of.get(item.key) == split]
        for content in contents:
            pixels = np.array(Image.open(io.BytesIO(content)).convert("RGB").resize((32, 32), Image.Resampling.BILINEAR))
            sha256.update(hashlib.sha256(pixels.tobytes()).digest())
        assert len(contents) > 5
        assert digest == sha256.hexdigest()
    card = json.loads((tmp_path / "out/card.json").read_text())
    assert (card["data_set"], card["split_origin"], card["size_px"]) == ("terrain", "own", 32)


def test_memory_does_not_grow_with_the_pictures(tmp_path: Path) -> None:
    def peak(num: int) -> int:
        def contents() -> Iterator[tuple[str, bytes]]:
            yield from ((f"train/{n}", encoded(photo(n, 64, 64))) for n in range(num))

        names = {f"train/{n}": b"" for n in range(num)}
        source = replace(source_of(names), contents=contents)
        settings = SETTINGS | {"size_px": 64, "partial_dir": tmp_path / "partial"}
        tracemalloc.start()
        try:
            prepare(FOLDER, source, split_of(names), tmp_path / "out", **settings)
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peak(20)  # imports
    few, many = peak(50), peak(450)
    assert many - few < 400 * 64 * 64 * 3 / 4  # a quarter of their pixels


def test_room_for_the_shards_is_asked_for_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(assembling.shutil, "disk_usage", lambda path: SimpleNamespace(free=1000))
    with pytest.raises(UserError, match=r"more bytes are needed, 1,000 are free; make room"):
        prepared({"train/a": encoded(photo(0))}, tmp_path)
    monkeypatch.undo()
    assert len(Shards(prepared({"train/a": encoded(photo(0))}, tmp_path), "train")) == 1
