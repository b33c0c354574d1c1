"""What an archive may call its files: names that CSV readers take for missing, licences in folders."""

import csv
import hashlib
import io
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from typer.testing import CliRunner

from pennet.cli import app
from pennet.config import MasksConfig, PrepareConfig
from pennet.data.commands.pack import pack
from pennet.data.pictures.picture_files import save_png
from pipelines import layout, masks, outputs, prepare

PREPARE = PrepareConfig(image_size_px=16, contact_sheet_images=4)
MASKS = MasksConfig(protocols=["centre"], seed=7)
NAMES = ["NA", "nan", "null", "007", "None"]


def png(value: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (16, 16), (value, value, value)).save(buffer, "PNG")
    return buffer.getvalue()


def make_archive(licences: tuple[str, ...] = ("LICENSE",)) -> Path:
    """One training picture, and a test picture of each name."""
    path = layout.raw_archive("mine")
    path.parent.mkdir(parents=True)
    lines = ["file,group,split,source,sha256"]
    with zipfile.ZipFile(path, "w") as archive:
        for name in licences:
            archive.writestr(name, "free")
        for value, name in enumerate(["first", *NAMES]):
            archive.writestr(f"{name}.png", png(value))
            digest = hashlib.sha256(png(value)).hexdigest()
            lines.append(f"{name}.png,g{value},{'test' if value else 'train'},made,{digest}")
        archive.writestr("manifest.csv", "\n".join(lines) + "\n")
    return path


@pytest.fixture(autouse=True)
def in_tmp_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_names_that_look_like_missing_values_stay_apart() -> None:
    make_archive()
    prepare.run("mine", prepare=PREPARE)
    masks.run("mine", masks=MASKS)
    names, images, holes = outputs.test_set("mine", "centre")
    assert names == NAMES
    folder = Path("outputs/mine/mean")
    outputs.write_outputs(folder, {"centre": (zip(names, images, holes, images, strict=True), ())})
    for value, name in enumerate(NAMES, start=1):
        assert (np.array(Image.open(folder / "centre" / "composite" / f"{name}.png")) == value).all()
    written = pd.read_csv("data/masks/mine/manifest.csv", dtype=str, keep_default_na=False)
    assert written["name"].tolist() == NAMES


def test_licences_are_taken_from_the_top_of_the_archive_only() -> None:
    make_archive(("LICENSE", "LICENSE.txt", "LICENSES/MIT.txt", "LICENSE/../../evil.txt", "LICENSEES/"))
    prepare.run("mine", prepare=PREPARE)
    found = {path.relative_to("data").as_posix() for path in Path("data").rglob("*") if path.is_file()}
    files = ("LICENSE", "LICENSE.txt", "digests.json", "manifest.csv", "test.npy", "train.npy")
    assert found == {"raw/mine/archive.zip", *(f"prepared/mine/{name}" for name in files)}


def test_encrypted_member_is_named_beside_the_others() -> None:
    path = make_archive(())
    content = bytearray(path.read_bytes())
    content[6] = content[content.index(b"PK\x01\x02") + 8] = 1  # the first member's flag of encryption
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"^1 of 6 images cannot be used.*\n  - first\.png: cannot be unpacked"):
        prepare.run("mine", prepare=PREPARE)


def fail(*arguments: Any, **more: Any) -> None:
    raise OSError("disk full")


def test_failed_stage_leaves_no_half_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    make_archive()
    prepare.run("mine", prepare=PREPARE)
    masks.run("mine", masks=MASKS)
    before = sorted(Path().rglob("*"))
    with monkeypatch.context() as patched:
        patched.setattr(pd.DataFrame, "to_csv", fail)
        with pytest.raises(OSError, match="disk full"):
            prepare.run("mine", prepare=PREPARE)
        patched.setattr(np.lib.format, "open_memmap", fail)
        with pytest.raises(OSError, match="disk full"):
            masks.run("mine", masks=MASKS)

    def predictions() -> Iterator[tuple[str, Any, Any, Any]]:
        picture = np.zeros((16, 16, 3), np.uint8)
        yield "one", picture, picture[..., 0], picture
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        outputs.write_outputs(Path("data/outputs"), {"centre": (predictions(), ())})
    assert sorted(Path().rglob("*")) == before


ODD_NAMES = ["IMG (20)", "100%", "a,b", "it's #1", "é 画", "-rf", "a\nb", "50% & more", "x.y", '"quoted"']


def test_odd_file_names_pass_from_the_folder_of_photos_to_the_scores(tmp_path: Path) -> None:
    """Each photo is of one grey level: by that it is known again at the end."""
    photos, expected = tmp_path / "photos", {name: 10 * value for value, name in enumerate(ODD_NAMES)}
    photos.mkdir()
    for name, value in expected.items():
        (photos / f"{name}.png").write_bytes(png(value))
    pack(photos, layout.raw_archive("mine"), 0.5)
    prepare.run("mine", prepare=PREPARE)
    masks.run("mine", masks=MASKS)
    names, images, holes = outputs.test_set("mine", "centre")
    assert names
    manifest = outputs.read_prepared_manifest("mine")
    arrays = {split: np.load(layout.prepared_dir("mine") / f"{split}.npy") for split in ("train", "test")}
    images = [arrays[split][index] for split, index in zip(manifest["split"], manifest["index"], strict=True)]
    assert {name: image.max() for name, image in zip(manifest["name"], images, strict=True)} == expected
    rows = [(name, image, holes[0], image) for name, image in zip(manifest["name"], images, strict=True)]
    results = layout.filled_dir("mine", "mean", None, "centre")
    outputs.write_outputs(layout.outputs_dir("mine", "mean", None), {"centre": (iter(rows), ())})
    for name, image, _, _ in rows:
        save_png(tmp_path / "truth" / f"{name}.png", image)
    folders = [str(tmp_path / "truth"), str(results / "composite"), "--csv", "scores.csv"]
    result = CliRunner().invoke(app, ["evaluate", *folders, "--extractor", "none", "--lpips", "none", "--device", "cpu"])
    assert result.exit_code == 0, result.output
    with Path("scores.csv").open(newline="") as file:
        assert {row["name"]: float(row["l1"]) for row in csv.DictReader(file)} == dict.fromkeys(expected, 0.0)
