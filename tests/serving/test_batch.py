"""The program of docs/serving.md for many pictures: two Dask workers write what one process makes."""

import re
import subprocess
import sys
from pathlib import Path

import mlflow
import pandas as pd
import pytest

from benchmarks.serving import draw_pairs
from pennet.picture_pairs import png
from tests.project import ROOT, environment
from tests.serving.conftest import MODEL


def program(store: str) -> str:
    """The program, with the store and the model of this test."""
    (code,) = re.findall(r"```python\n(.*?)```", (ROOT / "docs/serving.md").read_text(), re.DOTALL)
    code, replaced = re.subn(r"^STORE, MODEL = .*$", f"STORE, MODEL = {store!r}, {MODEL!r}", code, flags=re.MULTILINE)
    assert replaced == 1
    return code


@pytest.mark.slow
def test_two_workers_fill_a_table_of_paths_as_one_process_does(store: str, tmp_path: Path) -> None:
    rows = []
    for number, (image, mask) in enumerate(draw_pairs(6, (16, 48))):
        row = {name: f"{number} {name}.png" for name in ("image", "mask", "output")}
        (tmp_path / row["image"]).write_bytes(png(image))
        (tmp_path / row["mask"]).write_bytes(png(255 * mask))
        rows.append(row)
    table = pd.DataFrame(rows)
    table.to_csv(tmp_path / "pairs.csv")
    (tmp_path / "batch.py").write_text(program(store))
    result = subprocess.run(
        [sys.executable, "batch.py"],
        cwd=tmp_path,
        env=environment(tmp_path, OMP_NUM_THREADS="1"),
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert result.stdout.endswith("6 pictures\n"), result.stderr[-3000:]

    mlflow.set_tracking_uri(store)
    files = {name: [(tmp_path / path).read_bytes() for path in table[name]] for name in ("image", "mask")}
    alone = mlflow.pyfunc.load_model(MODEL).predict(pd.DataFrame(files))
    assert [(tmp_path / path).read_bytes() for path in table["output"]] == list(alone)
    assert len({bytes(file) for file in alone}) == 6
