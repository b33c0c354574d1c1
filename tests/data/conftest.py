"""What the tests of archives and of downloads share."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from pennet.data.sources import download
from tests.data.archive_samples import FILES, write
from tests.data.downloading import CONTENT, Place
from tests.data.server import Server, running


@pytest.fixture
def server() -> Iterator[Server]:
    with running(CONTENT) as http:
        yield http


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds that were waited, if one waited."""
    seconds: list[float] = []
    monkeypatch.setattr(download, "sleep", seconds.append)
    return seconds


@pytest.fixture
def place(tmp_path: Path, waits: list[float]) -> Place:
    """Its downloads never wait."""
    return Place(tmp_path)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write(tmp_path / "set", FILES)
