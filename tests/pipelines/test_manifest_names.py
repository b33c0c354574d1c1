"""What an archive may call its files: names that CSV readers take for missing, licences in folders, odd characters."""

import csv
import hashlib
import io
import itertools
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from pyarrow import parquet
from typer.testing import CliRunner

from pennet.cli import app
from pennet.data.commands.pack import pack
from pennet.data.pictures.picture_files import save_png
from pennet.data.pictures.shards import Shards
from pennet.errors import UserError
from pipelines import download, layout, masks, outputs, prepare
from pipelines.prepared import names
from tests.configs import small_masks, small_prepare, small_source
from tests.pipelines.test_evaluate import RUNTIME

ARCHIVE = Path("mine.zip")
SOURCE = small_source(str(ARCHIVE))
PREPARE = small_prepare(image_size_px=16)
NAMES = ["NA", "nan", "null", "007", "None"]


def png(value: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (16, 16), (value, value, value)).save(buffer, "PNG")
    return buffer.getvalue()


def make_archive(licences: tuple[str, ...] = ("LICENSE",)) -> None:
    """Two pictures to train and validate with, and a test picture of each name; each is of one grey level."""
    lines = ["file,group,split,source,sha256"]
    with zipfile.ZipFile(ARCHIVE, "w") as archive:
        for name in licences:
            archive.writestr(name, "free")
        for value, name in enumerate(["zero", "first", *NAMES]):
            archive.writestr(f"{name}.png", png(value))
            digest = hashlib.sha256(png(value)).hexdigest()
            lines.append(f"{name}.png,g{value},{'test' if value > 1 else 'train'},made,{digest}")
        archive.writestr("manifest.csv", "\n".join(lines) + "\n")


def make_data() -> None:
    download.run("mine", source=SOURCE)
    prepare.run("mine", source=SOURCE, prepare=PREPARE, runtime=RUNTIME)
    masks.run("mine", masks=small_masks())


@pytest.fixture(autouse=True)
def in_tmp_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_names_that_look_like_missing_values_stay_apart() -> None:
    make_archive()
    make_data()
    called, images, holes = outputs.test_set("mine", "centre")
    assert called == NAMES
    folder = Path("outputs/mine/mean")
    outputs.write_outputs(folder, {"centre": (zip(called, images, holes, images, strict=True), ())})
    for value, name in enumerate(NAMES, start=2):
        assert (np.array(Image.open(folder / "centre" / "composite" / f"{name}.png")) == value).all()
    written = pd.read_csv(layout.masks_dir("mine") / "index.csv", dtype=str, keep_default_na=False)
    assert written["name"].tolist() == NAMES


def test_licences_are_taken_from_the_top_of_the_archive_only() -> None:
    make_archive(("LICENSE", "LICENSE.txt", "LICENSES/MIT.txt", "LICENSE/../../evil.txt", "LICENSEES/"))
    make_data()
    found = {path.name for path in layout.prepared_dir("mine").rglob("*")}
    records = {"index.parquet", "digests.json", "card.json", "rejected.csv", "left_out.csv"}
    assert found == records | {"LICENSE", "LICENSE.txt"} | {f"shard-0000{i}.tar" for i in range(3)}
    assert not [*Path().rglob("evil.txt")]


def test_encrypted_member_is_named() -> None:
    make_archive(())
    content = bytearray(ARCHIVE.read_bytes())
    content[6] = content[content.index(b"PK\x01\x02") + 8] = 1  # the first member's flag of encryption
    ARCHIVE.write_bytes(content)
    with pytest.raises(UserError, match=r"zero\.png: cannot be unpacked"):
        make_data()


def fail(*arguments: Any, **more: Any) -> None:
    raise OSError("disk full")


def test_failed_stage_leaves_no_half_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    make_archive()
    make_data()
    before = {path: path.stat().st_mtime_ns for path in Path("data/prepared").rglob("*")}
    before |= {path: path.stat().st_mtime_ns for path in Path("data/masks").rglob("*")}
    with monkeypatch.context() as patched:
        patched.setattr(parquet, "write_table", fail)
        with pytest.raises(OSError, match="disk full"):
            prepare.run("mine", source=SOURCE, prepare=PREPARE, runtime=RUNTIME)
        patched.setattr(np, "packbits", fail)
        with pytest.raises(OSError, match="disk full"):
            masks.run("mine", masks=small_masks())

    def predictions() -> Iterator[tuple[str, Any, Any, Any]]:
        picture = np.zeros((16, 16, 3), np.uint8)
        yield "one", picture, picture[..., 0], picture
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        outputs.write_outputs(Path("data/outputs"), {"centre": (predictions(), ())})
    assert not Path("data/outputs").exists()
    found = [*Path("data/prepared").rglob("*"), *Path("data/masks").rglob("*")]
    assert {path: path.stat().st_mtime_ns for path in found} == before


ODD_NAMES = ["IMG (20)", "100%", "a,b", "it's #1", "é 画", "-rf", "50% & more", "x.y", '"quoted"']


def test_odd_file_names_pass_from_the_folder_of_photos_to_the_scores(tmp_path: Path) -> None:
    """Each photo is of one grey level: by that it is known again at the end."""
    photos, expected = tmp_path / "photos", {name: 10 * value for value, name in enumerate(ODD_NAMES)}
    photos.mkdir()
    for name, value in expected.items():
        (photos / f"{name}.png").write_bytes(png(value))
    pack(photos, ARCHIVE, 0.5)
    make_data()
    _, _, holes = outputs.test_set("mine", "centre")
    shards = [Shards(layout.prepared_dir("mine"), split) for split in ("train", "val", "test")]
    keys = [key for of_split in shards for key in Shards.keys(of_split)]
    images = dict(zip(names(keys), itertools.chain(*shards), strict=True))
    assert {name: image.max() for name, image in images.items()} == expected
    rows = [(name, image, holes[0], image) for name, image in images.items()]
    results = layout.filled_dir("mine", "mean", None, "centre")
    outputs.write_outputs(layout.outputs_dir("mine", "mean", None), {"centre": (iter(rows), ())})
    for name, image, _, _ in rows:
        save_png(tmp_path / "truth" / f"{name}.png", image)
    folders = [str(tmp_path / "truth"), str(results / "composite"), "--csv", "scores.csv"]
    result = CliRunner().invoke(app, ["evaluate", *folders, "--extractor", "none", "--lpips", "none", "--device", "cpu"])
    assert result.exit_code == 0, result.output
    with Path("scores.csv").open(newline="") as file:
        assert {row["name"]: float(row["l1"]) for row in csv.DictReader(file)} == dict.fromkeys(expected, 0.0)


@pytest.mark.parametrize(
    ("keys", "called"),
    [
        (["a.jpg", "b.png"], ["a", "b"]),
        (["set/test/a.jpg", "set/test/more/b.jpg"], ["a", "more/b"]),  # shared folders go, others stay
        (["set/x/a.jpg", "set/y/a.jpg"], ["x/a", "y/a"]),
        (["set/a.jpg", "settle/a.jpg"], ["set/a", "settle/a"]),  # a shared beginning is no shared folder
        (["set/a.jpg", "b.jpg"], ["set/a", "b"]),
        (["a.jpg", "a.png", "b.jpg"], ["a.jpg", "a.png", "b"]),  # those that would be called the same keep their endings
        (["a.jpg", "a.png", "a.jpg.png"], ["a.jpg", "a.png", "a.jpg.png"]),
        (["x.y.jpg", ".hidden", "none"], ["x.y", ".hidden", "none"]),
        (["deep/er/only.jpg"], ["only"]),
        ([], []),
    ],
)
def test_pictures_are_called_by_their_keys_without_what_all_share(keys: list[str], called: list[str]) -> None:
    assert names(keys) == called
    assert len(set(names(keys))) == len(keys)
