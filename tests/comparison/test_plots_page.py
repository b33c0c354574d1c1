"""The page of plots, away from any network."""

import base64
import re
from pathlib import Path

import pytest

from pipelines import layout
from pipelines.plots_page import page


def test_the_page_holds_its_pictures_and_loads_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match="reports/terrain/plots holds no plots; run `dvc repro` first"):
        page(["terrain"])
    folder = layout.plots_dir("terrain")
    folder.mkdir(parents=True)
    for name in ("curves", "metrics"):
        (folder / f"{name}.png").write_bytes(name.encode())
    text = page(["terrain"])
    sources = re.findall(r'(?:src|href)="([^"]*)"', text)
    pictures = [base64.b64decode(source.removeprefix("data:image/png;base64,")) for source in sources]
    assert pictures == [b"curves", b"metrics"]
    assert "script" not in text
    assert "http" not in text
