"""`make test` on several workers: long files first, and the tests that share the demo by one worker, which makes it once."""

from __future__ import annotations

from collections import Counter

import pytest
from xdist.scheduler import LoadFileScheduling

DEMO_TESTS = "tests/e2e/"


class ByFile(LoadFileScheduling):
    """As `--dist loadfile` of pytest-xdist: the tests of a file are one piece of work; all below `DEMO_TESTS` are one."""

    def _split_scope(self, nodeid: str) -> str:
        file = str(super()._split_scope(nodeid))
        return DEMO_TESTS if file.startswith(DEMO_TESTS) else file


def put_long_files_first(items: list[pytest.Item]) -> None:
    """By the number of slow tests, so that no worker is left with a long file when the others have ended."""
    num_slow = Counter(item.path for item in items if item.get_closest_marker("slow"))
    items.sort(key=lambda item: -num_slow[item.path])
