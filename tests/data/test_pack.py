from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pennet.data.manifest import open_archive, read_manifest
from pennet.data.pack import pack


def make_photos(folder: Path, count: int = 12) -> Path:
    for i in range(count):
        path = folder / ("beach" if i % 4 == 0 else ".") / f"photo{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.random.default_rng(i).integers(0, 256, (24, 32, 3), dtype=np.uint8)).save(path)
    return folder


def splits(archive: Path) -> dict[str, str]:
    with open_archive(archive) as opened:
        return {entry.name: entry.split for entry in read_manifest(opened)}


def test_pack_makes_an_archive_that_the_pipeline_reads(tmp_path: Path) -> None:
    num_train, num_test, sha256 = pack(make_photos(tmp_path / "photos"), tmp_path / "mine.zip", 0.4)
    found = splits(tmp_path / "mine.zip")
    assert len(found) == num_train + num_test == 12
    assert list(found.values()).count("test") == num_test
    assert len({found[f"photo{i}"] for i in (0, 4, 8)}) == 1  # one folder, one split
    assert len(sha256) == 64


def test_the_same_photos_give_the_same_bytes_and_new_ones_move_none(tmp_path: Path) -> None:
    first = pack(make_photos(tmp_path / "photos"), tmp_path / "a.zip", 0.4)
    assert pack(tmp_path / "photos", tmp_path / "b.zip", 0.4) == first
    pack(make_photos(tmp_path / "photos", 20), tmp_path / "c.zip", 0.4)
    assert splits(tmp_path / "a.zip").items() <= splits(tmp_path / "c.zip").items()


def test_pack_names_an_unreadable_photo_and_writes_nothing(tmp_path: Path) -> None:
    photos = make_photos(tmp_path / "photos")
    (photos / "broken.jpg").write_bytes(b"not a photo")
    with pytest.raises(ValueError, match=r"broken\.jpg: cannot be read as a picture"):
        pack(photos, tmp_path / "mine.zip", 0.4)
    assert not (tmp_path / "mine.zip").exists()


@pytest.mark.parametrize(
    ("names", "ratio", "message"),
    [
        ((), 0.2, r"holds no photo"),
        (("a.png",), 0.2, "split empty"),
        (("a.png", "b/a.png"), 0.2, "share the name 'a'"),
        (("a.png",), 1.5, r"test ratio 1\.5: must be between 0 and 1"),
    ],
)
def test_pack_refuses(tmp_path: Path, names: tuple[str, ...], ratio: float, message: str) -> None:
    (tmp_path / "photos").mkdir()
    for name in names:
        (tmp_path / "photos" / name).parent.mkdir(exist_ok=True)
        Image.new("RGB", (8, 8)).save(tmp_path / "photos" / name)
    with pytest.raises(ValueError, match=message):
        pack(tmp_path / "photos", tmp_path / "mine.zip", ratio)
