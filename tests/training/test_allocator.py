"""Measured from outside: the kernel's own count of page faults, in a process of its own."""

import ctypes
import subprocess
import sys

import pytest

from pennet.training.allocator import keep_freed_memory

PROGRAM = """
import resource, sys
import torch
from pennet.training.allocator import keep_freed_memory

if sys.argv[1] == "kept":
    keep_freed_memory()
for _ in range(15):  # until the heap has grown
    torch.ones(20_000_000).sum()  # 80 MB
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(5):
    torch.ones(20_000_000).sum()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def page_faults(mode: str) -> int:
    result = subprocess.run([sys.executable, "-c", PROGRAM, mode], capture_output=True, text=True, check=True, timeout=240)
    return int(result.stdout)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc only")
def test_freed_memory_is_used_again_without_page_faults() -> None:
    assert page_faults("kept") < page_faults("returned") / 10


@pytest.mark.parametrize("error", [OSError("Dynamic loading not supported"), TypeError("bad argument type")])
def test_a_c_library_that_cannot_be_asked_is_left_alone(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    def unavailable(name: None) -> None:
        raise error

    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(ctypes, "CDLL", unavailable)
    keep_freed_memory()
