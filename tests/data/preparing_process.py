"""A preparation of a source that stops before its end, in a process: `python -m tests.data.preparing_process FOLDER`."""

import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from pennet.data.preparing import parts
from pennet.data.preparing.prepare import prepare
from pennet.data.sets.folder import FOLDER
from pennet.in_order import processes
from tests.data.pictures import SETTINGS, encoded, photo, source_of, split_of

FILES = {f"{('train', 'test')[n % 5 == 0]}/{n}.png": encoded(photo(n)) for n in range(200)}
PART_PICTURES = 20

if __name__ == "__main__":
    folder = Path(sys.argv[1])
    parts.PART_PICTURES = PART_PICTURES

    def until_killed() -> Iterator[tuple[str, bytes]]:
        yield from list(FILES.items())[:180]
        time.sleep(600)

    source = replace(source_of(FILES), contents=until_killed)
    with processes(2) as workers:
        settings = SETTINGS | {"workers": workers, "partial_dir": folder / "partial"}
        prepare(FOLDER, source, split_of(FILES), folder / "out", **settings)
