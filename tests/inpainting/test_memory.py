"""What memory is estimated, beside the peak of a process that fills the hole; and what is available."""

import contextlib
import resource
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import torch

from pennet.inpainter import Inpainter
from pennet.inpainting import memory

CODE = """
import json, sys
import numpy as np, torch
from pennet.cost import peak_memory_mib
from pennet.inpainter import Inpainter
from pennet.methods import build_generator
from pennet.models.pennet import PENNet
from tests.configs import COPYING, small_ca, small_recipe

torch.set_num_threads(1)
kind, side, strategy = sys.argv[1], int(sys.argv[2]), sys.argv[3]
generator = {
    "paper": lambda: PENNet(base_width=16),
    "copying": lambda: build_generator(small_recipe(base_width=16, **COPYING)),
    "ca": lambda: build_generator(small_ca(base_width=12)),
}[kind]().eval()
generator.trained_size_px = 64
inpainter = Inpainter(generator, "cpu")

def fill(side):
    image, mask = np.zeros((side, side, 3), np.uint8), np.zeros((side, side), np.uint8)
    mask[side // 3 : side // 2, side // 3 : side // 2] = 1
    return inpainter.fill(image, mask, strategy).plan.memory_bytes

fill(64)  # what the first call loads and keeps
before = peak_memory_mib(torch.device("cpu"))
estimated = fill(side) / 2**20
print(json.dumps([estimated, peak_memory_mib(torch.device("cpu")) - before]))
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the peak is Linux's to tell")
@pytest.mark.parametrize(
    ("kind", "side", "strategy"),
    [("paper", 512, "original"), ("copying", 384, "original"), ("ca", 512, "original"), ("copying", 1200, "auto")],
)
def test_the_estimate_is_within_a_factor_of_two(kind: str, side: int, strategy: str) -> None:
    command = [sys.executable, "-c", CODE, kind, str(side), strategy]
    result = subprocess.run(command, capture_output=True, text=True, timeout=240, cwd=Path(__file__).parents[2])
    assert result.returncode == 0, result.stderr
    estimated, measured = map(float, result.stdout.strip()[1:-1].split(","))
    assert measured / 2 <= estimated <= 2 * measured


class _Meeting(torch.nn.Module):
    """Its callers wait for each other, if they come at once, before and after it paints."""

    unit_px = 1

    def __init__(self) -> None:
        super().__init__()
        self.paint = torch.nn.Conv2d(3, 8, 1)
        self.meeting = threading.Barrier(2)

    def forward(self, image: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        self._meet()
        painted = self.paint(image)
        self._meet()
        return painted

    def _meet(self) -> None:
        with contextlib.suppress(threading.BrokenBarrierError):
            self.meeting.wait(0.5)


def test_what_two_threads_ask_at_once_is_not_counted_twice() -> None:
    generator = _Meeting()
    threads = [threading.Thread(target=memory.network_bytes, args=(generator,)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert memory.network_bytes(generator) == memory._ask(generator)


def test_the_limit_of_addresses_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    free = memory.available_bytes()
    assert free is not None
    assert free > 0
    used = memory._amount("/proc/self/status", "VmSize:", 2**10)
    assert used is not None
    monkeypatch.setattr(resource, "getrlimit", lambda _which: (used + 2**20, used + 2**20))
    assert 0 <= memory.available_bytes() <= 2**21


def test_a_containers_limit_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, text in (("max", "5000000"), ("current", "3000000"), ("stat", "anon 2\ninactive_file 1000000\n")):
        (tmp_path / f"memory.{name}").write_text(text)
    files = (str(tmp_path / "memory.max"), str(tmp_path / "memory.current"))
    monkeypatch.setattr(memory, "_CGROUPS", (files,))
    assert memory.available_bytes() == 3_000_000
    (tmp_path / "memory.max").write_text("max\n")
    monkeypatch.setattr(memory, "_CGROUPS", (files, ("/nowhere", "/nowhere")))
    assert memory.available_bytes() > 3_000_000


def test_a_method_that_solves_equations_needs_memory_for_each_hole_pixel() -> None:
    mask = np.zeros((1000, 1000), np.uint8)
    mask[100:800, 100:800] = 1
    assert Inpainter("biharmonic").plan(mask).memory_bytes - Inpainter("telea").plan(mask).memory_bytes > 4000 * 700**2
