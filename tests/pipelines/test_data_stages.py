"""Stages download, prepare and masks, one after the other, on archives with a manifest."""

import hashlib
import io
import json
import re
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from pennet.config import PrepareConfig, SourceConfig
from pennet.config.sections import MaskFilesConfig
from pennet.data.pictures.shards import Shards
from pennet.errors import UserError
from pennet.mask_sets.files import digest
from pipelines import download, layout, masks, outputs, prepare
from pipelines.prepared import card
from tests.configs import small_masks, small_prepare, small_source
from tests.pipelines.test_evaluate import RUNTIME

SIDE = 32


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
    return small_source(str(path), sha256=[hashlib.sha256(path.read_bytes()).hexdigest()])


@pytest.fixture(autouse=True)
def in_tmp_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def prepared(
    tmp_path: Path, pictures: dict[str, bytes], checksums: dict[str, str] | None = None, **changes: object
) -> pd.DataFrame:
    """The index of what the stages make of them."""
    source = make_archive(tmp_path, pictures, checksums)
    config: PrepareConfig = small_prepare(**changes)
    download.run("mine", source=source)
    prepare.run("mine", source=source, prepare=config, runtime=RUNTIME)
    return pd.read_parquet(layout.prepared_dir("mine") / "index.parquet")


def some(count: int) -> dict[str, bytes]:
    return {f"p{i}.png": png(i) for i in range(count)}


def keys(split: str) -> list[str]:
    return Shards(layout.prepared_dir("mine"), split).keys()


def test_prepare_honours_the_split_and_keeps_the_order(tmp_path: Path) -> None:
    index = prepared(tmp_path, some(7))
    by_split = {split: keys(split) for split in ("train", "val", "test")}
    assert index["key"].tolist() == [key for of_split in by_split.values() for key in of_split]
    assert by_split["test"] == ["p2.png", "p5.png"]
    assert sorted(by_split["train"] + by_split["val"]) == ["p0.png", "p1.png", "p3.png", "p4.png", "p6.png"]
    assert all(of_split == sorted(of_split) for of_split in by_split.values())
    assert all(by_split.values())
    assert (index[["width_px", "height_px"]] == [48, 40]).all(axis=None)
    for split in by_split:
        shards = Shards(layout.prepared_dir("mine"), split)
        for key, found in zip(by_split[split], shards, strict=True):
            square = Image.open(io.BytesIO(png(int(key[1])))).crop((4, 0, 44, 40))
            assert np.array_equal(found, np.array(square.resize((SIDE, SIDE), Image.Resampling.BILINEAR)))
    assert card("mine")["split_origin"] == "the archive's own manifest"


def test_prepare_keeps_the_licence_and_makes_contact_sheets(tmp_path: Path) -> None:
    prepared(tmp_path, some(6))
    assert (layout.prepared_dir("mine") / "LICENSE.txt").read_text() == "free"
    for split in ("train", "val", "test"):
        assert Image.open(f"reports/mine/data/{split}.png").size[0] > SIDE


def test_prepare_makes_grey_pictures_rgb(tmp_path: Path) -> None:
    prepared(tmp_path, some(2) | {"c.png": png(2, mode="L")})
    grey = Shards(layout.prepared_dir("mine"), "test")[0]
    assert grey.shape == (SIDE, SIDE, 3)
    assert np.array_equal(grey[..., 0], grey[..., 2])


BAD = {
    "half.png": (png(11)[:200], "cannot be read"),
    "text.png": (b"no picture", "cannot be read"),
    "small.png": (png(12, (31, 64)), "31x64 px is smaller than 32 px"),
    "clear.png": (png(13, mode="RGBA"), "has transparency"),
}


def bad() -> dict[str, bytes]:
    return {name: content for name, (content, _) in BAD.items()}


def test_prepare_names_every_bad_image_and_leaves_the_old_data(tmp_path: Path) -> None:
    prepared(tmp_path, some(6))
    before = {path.name: path.read_bytes() for path in layout.prepared_dir("mine").iterdir()}
    with pytest.raises(UserError, match=r"^4 of 10 pictures cannot be used, more than max_rejected_ratio 0;") as caught:
        prepared(tmp_path, some(6) | bad())
    for name, (_, reason) in BAD.items():
        assert f"{name}: {reason}" in str(caught.value)
    assert {path.name: path.read_bytes() for path in layout.prepared_dir("mine").iterdir()} == before
    assert not list(Path("data/prepared").glob(".*"))


def test_rejected_pictures_that_are_allowed_are_listed_and_left_out(tmp_path: Path) -> None:
    prepared(tmp_path, some(6))
    good = {split: keys(split) for split in ("train", "val", "test")}
    index = prepared(tmp_path, some(6) | bad(), max_rejected_ratio=0.4)
    assert {split: keys(split) for split in good} == good
    assert set(index["key"]) == set(some(6))
    rejected = pd.read_csv(layout.prepared_dir("mine") / "rejected.csv").set_index("key")["reason"]
    assert set(rejected.index) == set(BAD)
    assert all(reason in rejected[name] for name, (_, reason) in BAD.items())
    assert card("mine")["num_rejected"] == len(BAD)
    with pytest.raises(UserError, match=r"more than max_rejected_ratio 0\.39"):
        prepared(tmp_path, some(6) | bad(), max_rejected_ratio=0.39)


def test_a_picture_that_is_not_the_manifest_s_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"p1\.png: its sha256 is not the manifest's"):
        prepared(tmp_path, some(6), checksums={"p1.png": "0" * 64})


def test_prepare_refuses_an_empty_split(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"the val and test split empty|the test split empty"):
        prepared(tmp_path, some(2))


def test_fewer_test_pictures_are_some_of_all_and_the_card_says_so(tmp_path: Path) -> None:
    prepared(tmp_path, some(18))
    everything, training = keys("test"), keys("train")
    chosen = {}
    for count in (2, 4):
        prepared(tmp_path, some(18), test_images=count)
        chosen[count] = keys("test")
        assert card("mine")["split_origin"] == f"the archive's own manifest, {count} of 6 test images"
        assert len(chosen[count]) == count
        assert keys("train") == training  # those that are left out do not become training pictures
    assert set(chosen[2]) < set(chosen[4]) < set(everything)
    prepared(tmp_path, some(18), test_images=6)
    assert keys("test") == everything
    assert card("mine")["split_origin"] == "the archive's own manifest"


def test_download_notes_what_came_and_where_it_is(tmp_path: Path) -> None:
    source = make_archive(tmp_path, some(3))
    download.run("mine", source=source)
    noted = json.loads(layout.receipt_path("mine").read_text())
    path = Path(source.archives[0])
    arrived = {"path": str(path), "size_bytes": path.stat().st_size, "sha256": source.sha256[0]}
    assert noted == {"data_set": "packed", "archives": [arrived], "lists": None, "no_lists": ""}
    assert {p for p in tmp_path.rglob("*") if p.is_file()} == {path, tmp_path / layout.receipt_path("mine")}


def test_download_refuses_another_archive(tmp_path: Path) -> None:
    source = make_archive(tmp_path, some(1))
    Path(source.archives[0]).write_bytes(b"cut")
    with pytest.raises(UserError, match=rf"{source.archives[0]}: sha256 is .* expected {source.sha256[0]}"):
        download.run("mine", source=source)
    assert not layout.receipt_path("mine").exists()


def test_prepare_refuses_an_archive_that_has_changed_since(tmp_path: Path) -> None:
    source = make_archive(tmp_path, some(6))
    download.run("mine", source=source)
    make_archive(tmp_path, some(7))
    with pytest.raises(UserError, match=r"set\.zip: has changed since .*dvc repro --force download@mine"):
        prepare.run("mine", source=source, prepare=small_prepare(), runtime=RUNTIME)
    assert not layout.prepared_dir("mine").exists()


def made_masks(protocol: str) -> np.ndarray:
    found = outputs.test_set("mine", protocol).masks
    return np.stack([found[i] for i in range(len(found))])


def index() -> pd.DataFrame:
    return pd.read_csv(layout.masks_dir("mine") / "index.csv")


def test_masks_are_the_centre_square_for_every_test_image_and_repeat(tmp_path: Path) -> None:
    prepared(tmp_path, some(7))
    masks.run("mine", masks=small_masks())
    expected = np.zeros((2, SIDE, SIDE), np.uint8)
    expected[:, 8:24, 8:24] = 1
    assert np.array_equal(made_masks("centre"), expected)
    first = {path.name: path.read_bytes() for path in layout.masks_dir("mine").iterdir()}
    masks.run("mine", masks=small_masks())
    assert {path.name: path.read_bytes() for path in layout.masks_dir("mine").iterdir()} == first
    assert index()["name"].tolist() == ["p2", "p5"]
    assert index()["hole_ratio"].tolist() == [0.25, 0.25]


def test_irregular_masks_are_written_with_their_ratios_and_change_with_the_seed(tmp_path: Path) -> None:
    prepared(tmp_path, some(18))
    masks.run("mine", masks=small_masks("irregular"))
    made = made_masks("irregular")
    table = index()
    assert np.allclose(table["hole_ratio"], made.mean(axis=(1, 2)))
    assert (table["hole_ratio"].to_numpy() > [0.01, 0.1, 0.2, 0.3, 0.4, 0.5]).all()
    assert (table["hole_ratio"].to_numpy() <= [0.1, 0.2, 0.3, 0.4, 0.5, 0.6]).all()
    assert table["sha256"].tolist() == [hashlib.sha256(mask.tobytes()).hexdigest() for mask in made]
    masks.run("mine", masks=small_masks("irregular", seed=8))
    assert not np.array_equal(made_masks("irregular"), made)


def test_masks_of_several_protocols_are_those_of_each_alone(tmp_path: Path) -> None:
    prepared(tmp_path, some(18))
    alone = {}
    for protocol in ("irregular", "centre"):
        masks.run("mine", masks=small_masks(protocol))
        alone[protocol] = (made_masks(protocol), index().drop(columns="row"))
    masks.run("mine", masks=small_masks("irregular", "centre"))
    assert outputs.protocols("mine") == ["irregular", "centre"]
    assert all(np.array_equal(made_masks(protocol), made) for protocol, (made, _) in alone.items())
    together = pd.concat([table for _, table in alone.values()], ignore_index=True)
    pd.testing.assert_frame_equal(index().drop(columns="row"), together)
    with pytest.raises(UserError, match="no masks of protocol 'free_form'; it has irregular, centre"):
        outputs.test_set("mine", "free_form")


def drawn(tmp_path: Path, hole: str) -> dict[str, np.ndarray]:
    """A folder of three mask pictures of that polarity; returns the holes."""
    folder = tmp_path / "own masks" / "some"
    folder.mkdir(parents=True, exist_ok=True)
    holes = {}
    for i in range(3):
        mask = np.zeros((SIDE, SIDE), bool)
        mask[4 * i : 4 * i + 8, :20] = True
        holes[f"some/{i}.png"] = mask
        Image.fromarray(np.where(mask == (hole == "white"), 255, 0).astype(np.uint8)).save(folder / f"{i}.png")
    return holes


@pytest.mark.parametrize("hole", ["white", "black"])
def test_masks_of_files_are_a_protocol_with_holes_of_their_colour(tmp_path: Path, hole: str) -> None:
    prepared(tmp_path, some(12))
    holes = drawn(tmp_path, hole)
    sha256 = digest(Path("own masks"), "some")
    own = {"strips": MaskFilesConfig(archive="own masks", hole=hole, under="some", sha256=sha256)}  # type: ignore[arg-type]
    masks.run("mine", masks=small_masks("centre", "strips", files=own))
    assert outputs.protocols("mine") == ["centre", "strips"]
    found = made_masks("strips")
    assert len(found) == 4
    assert {mask.tobytes() for mask in found[:3]} == {mask.astype(np.uint8).tobytes() for mask in holes.values()}
    assert np.array_equal(found[3], found[0])  # after the last comes the first again
    assert np.array_equal(made_masks("centre")[0], np.pad(np.ones((16, 16), np.uint8), 8))


def test_masks_of_files_declared_the_wrong_way_round_are_refused(tmp_path: Path) -> None:
    prepared(tmp_path, some(6))
    drawn(tmp_path, "white")
    own = {"strips": MaskFilesConfig(archive="own masks", hole="black", under="", sha256=digest(Path("own masks")))}
    with pytest.raises(UserError, match="the holes are white, so declare hole: white"):
        masks.run("mine", masks=small_masks("strips", files=own))
    assert not layout.masks_dir("mine").exists()


@pytest.mark.parametrize("archive", ["own masks", "masks.zip"])
def test_masks_of_files_that_have_changed_are_refused(tmp_path: Path, archive: str) -> None:
    prepared(tmp_path, some(6))
    drawn(tmp_path, "white")
    with zipfile.ZipFile("masks.zip", "w") as packed:
        packed.write("own masks/some/0.png")

    def run(sha256: str) -> None:
        own = MaskFilesConfig(archive=archive, hole="white", under="", sha256=sha256)
        masks.run("mine", masks=small_masks("strips", files={"strips": own}))

    with pytest.raises(
        UserError, match=rf"masks\.files\.strips: {archive}: its sha256 is .*, not yet declared; put"
    ) as caught:
        run("")
    declared = re.findall("[0-9a-f]{64}", str(caught.value))[0]
    if archive == "masks.zip":
        assert declared == hashlib.sha256(Path(archive).read_bytes()).hexdigest()
    run(declared)
    made = made_masks("strips")
    Image.open("own masks/some/0.png").transpose(Image.Transpose.ROTATE_90).save("own masks/some/0.png")
    with zipfile.ZipFile("masks.zip", "w") as packed:
        packed.write("own masks/some/0.png")
    with pytest.raises(UserError, match=f"expected {declared}; bring those masks back, or put it into masks.files"):
        run(declared)
    assert np.array_equal(made_masks("strips"), made)


def test_a_folder_is_divided_by_its_seed_and_the_card_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos/a.gif").touch()
    for name, content in some(40).items():
        (tmp_path / "photos" / name).write_bytes(content)
    tested = []
    for seed in (0, 0, 1):
        source = small_source("photos", data_set="folder", split="seeded", seed=seed)
        download.run("mine", source=source)
        prepare.run("mine", source=source, prepare=small_prepare(), runtime=RUNTIME)
        tested.append(keys("test"))
        assert card("mine")["split_origin"] == f"seeded, {len(tested[-1])} test images of seed {seed}"
        assert "mine: no pictures, and left out: 1 of other types (1 .gif): a.gif" in capsys.readouterr().out
        assert sum(len(keys(split)) for split in ("train", "val", "test")) == 40
    assert tested[0] == tested[1] != tested[2]
    masks.run("mine", masks=small_masks())
    assert outputs.test_set("mine", "centre").names == [key.removesuffix(".png") for key in tested[2]]
    (tmp_path / "photos" / "p0.png").unlink()
    with pytest.raises(UserError, match="photos: has changed since it was downloaded"):
        prepare.run("mine", source=source, prepare=small_prepare(), runtime=RUNTIME)
