"""Pictures that no two look alike, sources that hold them, and what was prepared of them."""

import hashlib
import io
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from pennet.data.preparing.prepare import prepare
from pennet.data.sets.folder import FOLDER
from pennet.data.sets.spec import Place, Source
from pennet.data.sets.splits import Split
from pennet.in_order import ALONE

SETTINGS: dict[str, Any] = {
    "size_px": 32,
    "resize_filter": "bilinear",
    "shard_bytes": 20_480,
    "max_rejected_ratio": 0.0,
    "max_look_alike_bits": 4,
    "workers": ALONE,
}


def photo(seed: int, width: int = 40, height: int = 40) -> Image.Image:
    """Random blobs, with some noise."""
    rng = np.random.default_rng(seed)
    blobs = Image.fromarray(rng.integers(0, 256, (9, 9, 3), dtype=np.uint8)).resize(
        (width, height), Image.Resampling.BICUBIC
    )
    noise = rng.integers(0, 8, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(np.minimum(np.array(blobs), 247) + noise)


def encoded(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def decoded(content: bytes) -> np.ndarray:
    return np.array(Image.open(io.BytesIO(content)).convert("RGB"))


def source_of(files: Mapping[str, bytes], notices: Mapping[str, bytes] | None = None) -> Source:
    def contents() -> Iterator[tuple[str, bytes]]:
        yield from files.items()

    return Source({name: Place(name, f"group of {name}") for name in files}, contents, notices=notices or {})


def split_of(files: Mapping[str, bytes]) -> Split:
    """A picture's split is the first folder of its key."""
    return Split("folders", {name: name.split("/")[0] for name in files}, ())


def prepared(files: Mapping[str, bytes], folder: Path, **changes: Any) -> Path:
    """A folder, in which `out` is prepared from `files`."""
    settings = SETTINGS | {"partial_dir": folder / "partial"} | changes
    prepare(FOLDER, source_of(files), split_of(files), folder / "out", **settings)
    return folder / "out"


def checksums(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir())}
