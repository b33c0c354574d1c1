"""A photo and all that belongs to it: what is filled, and what has to come back as it was."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8] | NDArray[np.uint16]
"""(H, W, 3), RGB in the photo's own colour space; grey photos three times the same; the right side up."""


@dataclass(frozen=True)
class Photo:
    """What `pennet.photos.reading.read_photo` makes of a file."""

    path: Path
    pixels: Pixels
    alpha: NDArray[np.uint8] | NDArray[np.uint16] | None = None
    """(H, W), of the depth of the pixels; 0 is fully transparent. None for opaque photos."""
    words: tuple[str, ...] = ()
    """What had to be converted or passed over, each a sentence for the person who gave the photo."""
    form: dict[str, Any] = field(default_factory=dict)
    """How it was stored (format, mode, quality, EXIF, ICC, DPI): for `pennet.photos.writing.write_photo`."""
