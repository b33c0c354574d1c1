"""What filling holes cannot do, as pictures for docs/failures.md.

    python -m benchmarks.failures                   # writes docs/pictures/failures-*.jpg with the shipped generator
    python -m benchmarks.failures --model MODEL --output FOLDER

The photos come with scikit-image and are in the public domain: astronaut (NASA), coffee (Rachel Michetti, CC0), chelsea
(Stefan van der Walt, CC0), text (Wikipedia), gravel (CC0Textures, CC0). The holes are placed where filling them fails.
"""

from __future__ import annotations

import argparse
import io
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from pennet.atomic import replacing
from pennet.errors import UserError
from pennet.images import Picture
from pennet.inpainter import DEFAULT_MODEL, Inpainter, Strategy
from pennet.masks.mask import Mask
from pennet.pictures import sheet

MAX_BYTES = 150_000
CELL_PX = 300
AROUND = 0.8
"""How much of the photo is shown on each side of the hole, in sides of the hole."""


@dataclass(frozen=True)
class Failure:
    """One photo with one hole, filled in one or two ways."""

    name: str
    photo: str
    """A function of `skimage.data`."""
    box: tuple[int, int, int, int]
    """Left, top, width and height of the hole, in pixels."""
    ways: tuple[tuple[str, Strategy], ...] = (("filled", "auto"),)
    """Title and strategy of each."""
    inverted: bool = False
    """The mask has the wrong polarity."""

    def mask(self, height: int, width: int) -> Mask:
        left, top, box_width, box_height = self.box
        mask = np.zeros((height, width), np.uint8)
        mask[top : top + box_height, left : left + box_width] = 1
        return 1 - mask if self.inverted else mask


FAILURES = (
    Failure("structure", "coffee", (310, 30, 130, 150)),
    Failure("face", "astronaut", (205, 80, 70, 95)),
    Failure("text", "text", (140, 112, 130, 42)),
    Failure("size", "gravel", (160, 160, 192, 192), ways=(("--strategy original", "original"), ("--strategy auto", "auto"))),
    Failure("polarity", "chelsea", (130, 75, 90, 80), inverted=True),
)


def figure(failure: Failure, inpainter: Inpainter) -> Picture:
    """The photo with its hole, each way to fill it, and the photo, around the hole: (H, W, 3) uint8."""
    photo = _photo(failure.photo)
    mask = failure.mask(*photo.shape[:2])
    panels = {"input": np.where(mask[..., None] > 0, np.uint8(255), photo)}
    for title, strategy in failure.ways:
        panels[title] = np.asarray(inpainter.fill(photo, mask, strategy).image, np.uint8)
    panels["photo"] = photo
    part = _around(failure.box, photo.shape[:2])
    return sheet([[_shown(panel[part]) for panel in panels.values()]], list(panels), CELL_PX)


def write_jpeg(path: Path, picture: Picture) -> None:
    """As good as fits into `MAX_BYTES`."""
    for quality in range(92, 40, -4):
        content = io.BytesIO()
        Image.fromarray(picture).save(content, "JPEG", quality=quality, subsampling=0)
        if content.tell() <= MAX_BYTES:
            break
    with replacing(path) as temporary:
        temporary.write_bytes(content.getvalue())


def _photo(name: str) -> Picture:
    import skimage.data

    picture = getattr(skimage.data, name)()
    return picture if picture.ndim == 3 else picture[..., None].repeat(3, axis=2)


def _shown(part: Picture) -> Picture:
    """(`CELL_PX`, `CELL_PX`, 3) uint8."""
    return np.array(Image.fromarray(part).resize((CELL_PX, CELL_PX), Image.Resampling.LANCZOS))


def _around(box: tuple[int, int, int, int], shape: tuple[int, ...]) -> tuple[slice, slice]:
    """A square around the hole, as far as the photo has room for one."""
    left, top, width, height = box
    side = min(round(max(width, height) * (1 + 2 * AROUND)), *shape)
    places = ((top, height, shape[0]), (left, width, shape[1]))
    starts = [max(0, min(start + length // 2 - side // 2, limit - side)) for start, length, limit in places]
    return slice(starts[0], starts[0] + side), slice(starts[1], starts[1] + side)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default=DEFAULT_MODEL, help="as `pennet inpaint --model`")
    parser.add_argument("--output", type=Path, default=Path("docs/pictures"), help="folder of the pictures")
    arguments = parser.parse_args()
    try:
        inpainter = Inpainter(arguments.model, "cpu")
        for failure in FAILURES:
            path = arguments.output / f"failures-{failure.name}.jpg"
            write_jpeg(path, figure(failure, inpainter))
            print(path)
    except (UserError, OSError) as error:
        print(f"failures: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
