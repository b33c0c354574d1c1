import hashlib
import io
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from pennet.config import MasksConfig, PrepareConfig, SourceConfig
from pipelines import download, masks, outputs, prepare

PREPARE = PrepareConfig(image_size_px=32, contact_sheet_images=4)
MASKS = MasksConfig(protocols=["centre"], seed=7)


def png(seed: int, size: tuple[int, int] = (48, 40), mode: str = "RGB") -> bytes:
    buffer = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    image = Image.fromarray(pixels).convert(mode)
    if mode == "RGBA":
        image.putalpha(128)
    image.save(buffer, "PNG")
    return buffer.getvalue()


def make_archive(folder: Path, pictures: dict[str, bytes], checksums: dict[str, str] | None = None) -> SourceConfig:
    """Every third picture is a test picture, each a group of its own."""
    path = folder / "set.zip"
    lines = ["file,group,split,source,sha256"]
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("LICENSE.txt", "free")
        for i, (name, content) in enumerate(pictures.items()):
            archive.writestr(name, content)
            checksum = (checksums or {}).get(name, hashlib.sha256(content).hexdigest())
            lines.append(f"{name},g{i},{'test' if i % 3 == 2 else 'train'},made,{checksum}")
        archive.writestr("manifest.csv", "\n".join(lines) + "\n")
    return SourceConfig(archive=str(path), sha256=hashlib.sha256(path.read_bytes()).hexdigest())


@pytest.fixture(autouse=True)
def in_tmp_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def prepared(tmp_path: Path, pictures: dict[str, bytes], **more) -> pd.DataFrame:
    download.run("mine", sources={"mine": make_archive(tmp_path, pictures, **more)})
    prepare.run("mine", prepare=PREPARE)
    return pd.read_csv("data/prepared/mine/manifest.csv")


def test_prepare_honours_the_split_and_keeps_the_order(tmp_path: Path) -> None:
    manifest = prepared(tmp_path, {f"p{i}.png": png(i) for i in range(7)})
    assert manifest["split"].tolist() == ["train", "train", "test", "train", "train", "test", "train"]
    assert manifest["index"].tolist() == [0, 1, 0, 2, 3, 1, 4]
    assert (manifest[["width_px", "height_px"]] == [48, 40]).all(axis=None)
    train, test = (np.load(f"data/prepared/mine/{split}.npy") for split in ("train", "test"))
    assert (train.shape, test.shape, train.dtype) == ((5, 32, 32, 3), (2, 32, 32, 3), np.uint8)
    for row in manifest.itertuples():
        square = Image.open(io.BytesIO(png(int(row.name[1:])))).crop((4, 0, 44, 40))
        expected = np.array(square.resize((32, 32), Image.Resampling.BILINEAR))
        assert np.array_equal((train if row.split == "train" else test)[row.index], expected)


def test_prepare_keeps_the_licence_and_makes_contact_sheets(tmp_path: Path) -> None:
    prepared(tmp_path, {f"p{i}.png": png(i) for i in range(3)})
    assert Path("data/prepared/mine/LICENSE.txt").read_text() == "free"
    for split in ("train", "test"):
        assert Image.open(f"reports/mine/data/{split}.png").size[0] > 32


def test_prepare_makes_grey_pictures_rgb(tmp_path: Path) -> None:
    prepared(tmp_path, {"a.png": png(0, mode="L"), "b.png": png(1), "c.png": png(2)})
    grey = np.load("data/prepared/mine/train.npy")[0]
    assert np.array_equal(grey[..., 0], grey[..., 2])


def test_prepare_names_every_bad_image_and_leaves_the_old_data(tmp_path: Path) -> None:
    good = {f"p{i}.png": png(i) for i in range(3)}
    prepared(tmp_path, good)
    before = Path("data/prepared/mine/train.npy").read_bytes()
    bad = {
        "half.png": png(3)[:200],
        "text.png": b"no picture",
        "small.png": png(4, (31, 64)),
        "clear.png": png(5, mode="RGBA"),
        "other.png": png(6),
    }
    with pytest.raises(ValueError, match=r"^5 of 8 images cannot be used; repair or remove them:") as caught:
        prepared(tmp_path, good | bad, checksums={"other.png": "0" * 64})
    message = str(caught.value)
    for part in (
        "half.png: cannot be read",
        "text.png: cannot be read",
        "small.png: 31x64 px is smaller than 32 px",
        "clear.png: has transparency",
        "other.png: its sha256 is not the manifest's",
    ):
        assert part in message
    assert Path("data/prepared/mine/train.npy").read_bytes() == before
    assert not list(Path("data/prepared").glob(".*"))


def test_prepare_refuses_an_empty_split(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="the test split holds no image"):
        prepared(tmp_path, {"a.png": png(0), "b.png": png(1)})


def test_download_refuses_another_archive_and_an_unknown_data_set(tmp_path: Path) -> None:
    source = make_archive(tmp_path, {"a.png": png(0)})
    Path(source.archive).write_bytes(b"cut")
    with pytest.raises(ValueError, match=rf"{source.archive}: sha256 is .* expected {source.sha256}"):
        download.run("mine", sources={"mine": source})
    assert not Path("data/raw/mine/archive.zip").exists()
    with pytest.raises(ValueError, match="no entry in sources; known are mine"):
        download.run("yours", sources={"mine": source})


def made_masks(protocol: str) -> np.ndarray:
    found = outputs.test_set("mine", protocol).masks
    return np.stack([found[i] for i in range(len(found))])


def index() -> pd.DataFrame:
    return pd.read_csv(Path("data/masks/mine") / outputs.MASKS_INDEX)


def test_masks_are_the_centre_square_for_every_test_image_and_repeat(tmp_path: Path) -> None:
    prepared(tmp_path, {f"p{i}.png": png(i) for i in range(7)})
    masks.run("mine", masks=MASKS)
    made = made_masks("centre")
    expected = np.zeros((2, 32, 32), np.uint8)
    expected[:, 8:24, 8:24] = 1
    assert np.array_equal(made, expected)
    first = {path.name: path.read_bytes() for path in Path("data/masks/mine").iterdir()}
    masks.run("mine", masks=MASKS)
    assert {path.name: path.read_bytes() for path in Path("data/masks/mine").iterdir()} == first
    manifest = index()
    assert manifest["name"].tolist() == ["p2", "p5"]
    assert manifest["hole_ratio"].tolist() == [0.25, 0.25]


def test_irregular_masks_are_written_with_their_ratios_and_change_with_the_seed(tmp_path: Path) -> None:
    prepared(tmp_path, {f"p{i}.png": png(i) for i in range(18)})
    masks.run("mine", masks=MasksConfig(protocols=["irregular"], seed=7))
    made = made_masks("irregular")
    manifest = index()
    assert np.allclose(manifest["hole_ratio"], made.mean(axis=(1, 2)))
    assert (manifest["hole_ratio"].to_numpy() > [0.01, 0.1, 0.2, 0.3, 0.4, 0.5]).all()
    assert (manifest["hole_ratio"].to_numpy() <= [0.1, 0.2, 0.3, 0.4, 0.5, 0.6]).all()
    assert manifest["sha256"].tolist() == [hashlib.sha256(mask.tobytes()).hexdigest() for mask in made]
    masks.run("mine", masks=MasksConfig(protocols=["irregular"], seed=8))
    assert not np.array_equal(made_masks("irregular"), made)


def test_masks_of_several_protocols_are_those_of_each_alone(tmp_path: Path) -> None:
    prepared(tmp_path, {f"p{i}.png": png(i) for i in range(18)})
    alone = {}
    for protocol in ("irregular", "centre"):
        masks.run("mine", masks=MasksConfig(protocols=[protocol], seed=7))
        alone[protocol] = (made_masks(protocol), index())
    masks.run("mine", masks=MasksConfig(protocols=["irregular", "centre"], seed=7))
    assert outputs.protocols("mine") == ["irregular", "centre"]
    assert all(np.array_equal(made_masks(protocol), made) for protocol, (made, _) in alone.items())
    pd.testing.assert_frame_equal(index(), pd.concat([table for _, table in alone.values()], ignore_index=True))
    with pytest.raises(ValueError, match="no masks of protocol 'free_form', only of irregular, centre; repeat stage masks"):
        outputs.test_set("mine", "free_form")
