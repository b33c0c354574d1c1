"""The page as people start it: a process of its own, with a small network and a folder for what it keeps."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from tests.project import ROOT

SECONDS_TO_START = 120


@dataclass
class Studio:
    """A running page."""

    url: str
    temporary: Path
    """What the process takes for the folder of temporary files."""
    process: subprocess.Popen[str]

    def kept(self) -> list[Path]:
        """All files that it keeps."""
        return [path for path in self.temporary.rglob("*") if path.is_file()]

    def end(self, sent: signal.Signals) -> int:
        self.process.send_signal(sent)
        return self.process.wait(120)


def command(*options: str) -> list[str]:
    return [sys.executable, "-m", "pennet", "studio", *options]


def environment(temporary: Path) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(temporary), "OMP_NUM_THREADS": "1"}


@contextmanager
def running(folder: Path, *options: str) -> Iterator[Studio]:
    """Starts the page in an empty folder on a free port; ends it if the test has not."""
    temporary = folder / "temporary"
    temporary.mkdir(parents=True)
    log = folder / "log.txt"
    with (
        log.open("w") as errors,
        subprocess.Popen(
            command("--port", "0", *options),
            cwd=folder,
            env=environment(temporary),
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        ) as process,
    ):
        try:
            assert process.stdout is not None
            first = process.stdout.readline()  # ends with the process, at the latest
            found = re.search(r"http://127\.0\.0\.1:\d+/", first)
            assert found, first + log.read_text()
            yield Studio(found[0], temporary, process)
        finally:
            if process.poll() is None:
                process.kill()


def wait_until(holds: object, seconds: float = 240) -> None:
    """Asks again and again until a function says yes."""
    deadline = time.monotonic() + seconds
    while not holds():  # type: ignore[operator]
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.1)


def write_photo(path: Path, seed: int, side: int = 128) -> np.ndarray:
    """Noise over a gradient, of a seed; JPEG or PNG by its name."""
    rng = np.random.default_rng(seed)
    ramp = np.linspace(40, 180, side)[:, None, None] + rng.integers(0, 60, 3)
    pixels = (ramp + rng.integers(0, 16, (side, side, 3))).clip(0, 255).astype(np.uint8)
    Image.fromarray(pixels).save(path, **({"quality": 92} if path.suffix == ".jpg" else {}))
    return pixels


def write_mask(path: Path, side: int = 128) -> np.ndarray:
    """A hole of 32 x 32 px in the middle."""
    mask = np.zeros((side, side), np.uint8)
    middle = slice(side // 2 - 16, side // 2 + 16)
    mask[middle, middle] = 255
    Image.fromarray(mask).save(path)
    return mask
