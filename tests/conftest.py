"""What several test folders share: one small project in which `make demo` has run."""

import os
import subprocess
import sys
from pathlib import Path

# Before torch is imported: small tensors gain nothing from more threads, and lose much where another process computes.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest

from tests.project import environment, make_project


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small copy of the project after `make demo`, with its output in `demo.log`; leave it as you found it."""
    folder = make_project(tmp_path_factory.mktemp("demo"))
    (folder / ".venv").symlink_to(sys.prefix)
    result = make(folder, "demo", timeout=900)
    assert result.returncode == 0, result.stdout[-3000:]
    (folder / "demo.log").write_text(result.stdout)
    return folder


def make(folder: Path, *arguments: str, timeout: float = 300) -> subprocess.CompletedProcess[str]:
    """Runs make in a copy, its virtual environment taken as installed."""
    return subprocess.run(
        ["make", "-o", ".venv/.installed", *arguments],
        cwd=folder,
        env=environment(folder),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=timeout,
        check=False,
    )
