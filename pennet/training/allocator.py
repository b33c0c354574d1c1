"""Keeps freed memory for the next step, which will ask for the same blocks again."""

from __future__ import annotations

import ctypes
import sys

# glibc's malloc.h
M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_MAX = -1, -2, -4
NEVER = 2**31 - 1
HEAP_GROWTH_BYTES = 2**28


def keep_freed_memory() -> None:
    """Tells glibc to give no freed block back to the kernel, for the rest of this process.

    By default every block of more than some megabytes is mapped when it is asked for and unmapped when it is freed, so a
    training step on a CPU spends a fifth of its time in page faults (docs/performance.md). The peak stays the same. With
    another C library, or none that can be asked, this does nothing.
    """
    if not sys.platform.startswith("linux"):
        return
    try:
        libc = ctypes.CDLL(None)
    except (OSError, TypeError):  # statically linked
        return
    if hasattr(libc, "mallopt"):
        libc.mallopt(M_MMAP_MAX, 0)
        libc.mallopt(M_TRIM_THRESHOLD, NEVER)
        libc.mallopt(M_TOP_PAD, HEAP_GROWTH_BYTES)
