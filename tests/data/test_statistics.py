"""`pennet data stats` and `show`, on a prepared data set that other libraries have written."""

import csv
import io
import json
import tarfile
from pathlib import Path

import numpy as np
import pyarrow
import pytest
from PIL import Image
from pyarrow import parquet
from typer.testing import CliRunner, Result

from pennet.cli import app
from pennet.data.commands.statistics import Reason, card_facts, of_splits, reasons
from pennet.data.pictures.picture_files import read_rgb
from pennet.errors import UserError

COUNTS = {"train": 100, "val": 5, "test": 0}
SIDE = 8


def data(*arguments: object) -> Result:
    result = CliRunner().invoke(app, ["data", *map(str, arguments)], env={"COLUMNS": "200"})
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return result


@pytest.fixture
def prepared(tmp_path: Path) -> Path:
    """A flat picture of level i for each i of a split; picture i of training came from one of 100 + i by 500 px."""
    folder = tmp_path / "prepared"
    folder.mkdir()
    rows = []
    with tarfile.open(folder / "shard-00000.tar", "w", format=tarfile.USTAR_FORMAT) as archive:
        for split, count in COUNTS.items():
            for i in range(count):
                file = io.BytesIO()
                Image.new("RGB", (SIDE, SIDE), (i, i, i)).save(file, "PNG")
                member = tarfile.TarInfo(f"{split}/{i}.png")
                member.size = len(file.getvalue())
                archive.addfile(member, io.BytesIO(file.getvalue()))
                rows.append({"key": f"{split}/{i}.jpg", "split": split, "group": f"{split}-{i // 2}", "width_px": 100 + i})
                rows[-1] |= {"height_px": 500, "shard": 0, "size": member.size, "sha256": bytes(32), "fingerprint": i}
    with tarfile.open(folder / "shard-00000.tar") as archive:
        offsets = [member.offset_data for member in archive.getmembers()]
    table = pyarrow.Table.from_pylist([row | {"offset": offset} for row, offset in zip(rows, offsets, strict=True)])
    table = table.set_column(table.column_names.index("shard"), "shard", table["shard"].cast(pyarrow.int32()))
    parquet.write_table(table, folder / "index.parquet")
    with (folder / "rejected.csv").open("w", newline="") as file:
        lines = [(f"a/{i}.jpg", f"a/{i}.jpg: {i}x1,000 px is smaller than 64 px; leave it out") for i in (30, 9)]
        csv.writer(file).writerows([("key", "reason"), *lines, ("b.png", "b.png: has transparency; flatten it")])
    (folder / "left_out.csv").write_text("key,like,distance,reason\nc.jpg,d.jpg,1,looks like test picture d.jpg\n")
    (folder / "card.json").write_text(
        json.dumps({"split_origin": "seeded", "num_images": COUNTS, "size_px": SIDE, "page": "", "bib": "@x{\n}"})
    )
    return folder


def test_statistics_of_each_split(prepared: Path) -> None:
    train, val, test = of_splits(prepared)
    assert (train.name, train.num_pictures, train.num_groups) == ("train", 100, 50)
    assert train.smaller_side_px == (100, 104, 149, 194, 199)
    assert (val.num_pictures, val.num_groups, val.smaller_side_px) == (5, 3, (100, 100, 102, 103, 104))
    assert (test.num_pictures, test.num_groups, test.num_bytes, test.smaller_side_px) == (0, 0, 0, ())
    with tarfile.open(prepared / "shard-00000.tar") as archive:
        assert train.num_bytes + val.num_bytes == sum(member.size for member in archive)


def test_reasons_of_one_kind_are_counted_together(prepared: Path) -> None:
    assert reasons(prepared / "rejected.csv") == [
        Reason(2, "a/30.jpg: 30x1,000 px is smaller than 64 px; leave it out"),
        Reason(1, "b.png: has transparency; flatten it"),
    ]
    assert reasons(prepared / "none.csv") == []


def test_stats_prints_all_of_it(prepared: Path) -> None:
    result = data("stats", prepared)
    assert result.exit_code == 0, result.output
    for said in (
        "split_origin: seeded",
        "size_px: 8",
        "rejected: 3",
        "  2 like a/30.jpg: 30x1,000 px",
        "left out: 1",
        "149",
    ):
        assert said in result.output, said


def test_facts_are_those_that_take_a_line(prepared: Path) -> None:
    assert card_facts(prepared) == {"split_origin": "seeded", "size_px": SIDE}


def test_stats_of_something_else_is_one_message(prepared: Path, tmp_path: Path) -> None:
    assert "no such file; give a folder that stage prepare has written" in data("stats", tmp_path).output
    (prepared / "index.parquet").write_bytes(b"PAR1 no more")
    with pytest.raises(UserError, match=r"index\.parquet: is no index of pictures"):
        of_splits(prepared)
    (prepared / "rejected.csv").write_text("name\nx\n")
    with pytest.raises(UserError, match=r"rejected\.csv: has no column 'key'"):
        reasons(prepared / "rejected.csv")
    (prepared / "rejected.csv").write_bytes(b"key,reason\n\xff,\xfe\n")
    with pytest.raises(UserError, match=r"rejected\.csv: is no table"):
        reasons(prepared / "rejected.csv")


def test_show_draws_pictures_evenly_from_a_split(prepared: Path, tmp_path: Path) -> None:
    pytest.importorskip("pennet.data.pictures.shards")
    result = data("show", prepared, "--num", 12, "--output", tmp_path / "sheet.png")
    assert result.exit_code == 0, result.output
    assert "12 of 100 pictures of train" in result.output
    sheet = read_rgb(tmp_path / "sheet.png")
    cell = SIDE + 4
    assert sheet.shape == (2 * cell, 8 * cell, 3)
    shown = [int(sheet[cell * (i // 8), cell * (i % 8), 0]) for i in range(12)]
    assert shown == np.linspace(0, 99, 12).round().astype(int).tolist()


def test_show_refuses_what_it_cannot_draw(prepared: Path, tmp_path: Path) -> None:
    pytest.importorskip("pennet.data.pictures.shards")
    sheet = tmp_path / "sheet.png"
    assert "its test split holds no picture" in data("show", prepared, "--split", "test", "--output", sheet).output
    assert "split 'all': must be one of" in data("show", prepared, "--split", "all", "--output", sheet).output
    assert "choose a name that ends in .png" in data("show", prepared, "--output", tmp_path / "sheet.jpg").output
    assert not sheet.exists()
