from pathlib import Path

import numpy as np
import pytest

from pennet.metrics.per_image import PerImage, read_per_image, write_per_image


@pytest.mark.parametrize("hole_ratio", [None, np.array([0.1, 1 / 3, 0.0])])
def test_per_image_reads_back_bit_for_bit(tmp_path: Path, hole_ratio: np.ndarray | None) -> None:
    values = {"psnr": np.array([np.inf, 30.1234567890123, 1 / 3]), "l1_hole": np.array([np.nan, 0.1, 1e-17])}
    write_per_image(tmp_path / "t.csv", PerImage(["0001", "a,b", "ü"], hole_ratio, values))
    table = read_per_image(tmp_path / "t.csv")
    assert table.names == ["0001", "a,b", "ü"]
    np.testing.assert_equal(table.hole_ratio, hole_ratio)
    np.testing.assert_equal(table.values, values)


@pytest.mark.parametrize(
    ("text", "message"),
    [("", "first column"), ("l1\n1\n", "first column"), ("name,l1\na\n", "line 2"), ("name,l1\na,x\n", "could not convert")],
)
def test_per_image_that_is_damaged_is_one_clear_error(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(ValueError, match=message):
        read_per_image(tmp_path / "t.csv")
