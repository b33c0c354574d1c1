"""The one folder that everything uploaded or made lies in, which is gone when the page is."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

VARIABLE = "GRADIO_TEMP_DIR"
"""Where Gradio keeps files; it reads this when it is imported."""


@contextmanager
def kept_folder() -> Iterator[Path]:
    """Makes the folder, for Gradio too, and removes it and all that is in it."""
    folder = Path(tempfile.mkdtemp(prefix="pennet-studio-")).resolve()
    before = os.environ.get(VARIABLE)
    os.environ[VARIABLE] = str(folder)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.environ.pop(VARIABLE)
        if before is not None:
            os.environ[VARIABLE] = before


def new_folder() -> Path:
    """A new one in it: files of the same name do not meet."""
    return Path(tempfile.mkdtemp(dir=os.environ[VARIABLE]))
