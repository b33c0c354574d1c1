from pathlib import Path

import numpy as np
import pytest

from pennet.metrics.per_image import PerImage, read_per_protocol, write_per_image, write_per_protocol


@pytest.mark.parametrize("hole_ratio", [None, np.array([0.1, 1 / 3, 0.0])])
def test_per_image_reads_back_bit_for_bit(tmp_path: Path, hole_ratio: np.ndarray | None) -> None:
    values = {"psnr": np.array([np.inf, 30.1234567890123, 1 / 3]), "l1_hole": np.array([np.nan, 0.1, 1e-17])}
    names = ["0001", "a,b", "more/ü\n"]
    first = PerImage(names, hole_ratio, values)
    other = PerImage(names, hole_ratio, {name: column / 3 for name, column in values.items()})
    write_per_protocol(tmp_path / "t.csv", {"irregular": first, "centre": other})
    tables = read_per_protocol(tmp_path / "t.csv")
    assert list(tables) == ["irregular", "centre"]
    for expected, table in zip((first, other), tables.values(), strict=True):
        assert table.names == names
        np.testing.assert_equal(table.hole_ratio, hole_ratio)
        np.testing.assert_equal(table.values, expected.values)


def test_per_image_without_protocols_has_the_same_rows_but_for_these(tmp_path: Path) -> None:
    table = PerImage(["a", "b"], None, {"l1": np.array([0.5, np.nan])})
    write_per_image(tmp_path / "plain.csv", table)
    assert (tmp_path / "plain.csv").read_text() == "name,l1\na,0.5\nb,\n"
    write_per_protocol(tmp_path / "t.csv", {"centre": table})
    assert (tmp_path / "t.csv").read_text() == "protocol,name,l1\ncentre,a,0.5\ncentre,b,\n"


def test_per_image_of_different_metrics_is_not_written(tmp_path: Path) -> None:
    one, two = (PerImage(["a"], None, {key: np.array([0.5])}) for key in ("l1", "psnr"))
    with pytest.raises(ValueError, match="tables of different metrics"):
        write_per_protocol(tmp_path / "t.csv", {"centre": one, "irregular": two})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "first column"),
        ("name,l1\na,1\n", "first column"),
        ("protocol,name,l1\ncentre,a\n", "line 2"),
        ("protocol,name,l1\ncentre,a,x\n", "could not convert"),
    ],
)
def test_per_image_that_is_damaged_is_one_clear_error(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(ValueError, match=message):
        read_per_protocol(tmp_path / "t.csv")
