"""Draws a row of masks for each kind, for docs/masks.md.

    python -m benchmarks.mask_gallery docs/masks.png

Under each mask, which is shown white on black, stands its hole ratio; beside the kind's name the mean over many draws.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from pennet.data.pictures.picture_files import save_png
from pennet.masks import KINDS, numbered_mask

SEED = 7
COLUMNS = 6
SIDE_PX = 128
GAP_PX = 6
TEXT_PX = 14
NAMES_PX = 150
DRAWS_OF_A_MEAN = 300
PAPER, INK = 170, 0
"""Grey, so that holes at the edge of a mask are seen."""


def gallery() -> NDArray[np.uint8]:
    """(H, W, 3) uint8: `COLUMNS` masks of 256 px at half their size, a row for each kind."""
    step = SIDE_PX + TEXT_PX + GAP_PX
    image = Image.new("L", (NAMES_PX + COLUMNS * (SIDE_PX + GAP_PX), GAP_PX + len(KINDS) * step), PAPER)
    draw, font = ImageDraw.Draw(image), ImageFont.load_default(TEXT_PX - 2)
    for line, kind in enumerate(KINDS):
        top = GAP_PX + line * step
        mean = np.mean([numbered_mask(kind.name, SEED, index, 64, 64).mean() for index in range(DRAWS_OF_A_MEAN)])
        text = f"{kind.name}\n{mean:.0%} on average"
        draw.multiline_text((GAP_PX, top + SIDE_PX / 2 - TEXT_PX), text, INK, ImageFont.load_default(TEXT_PX))
        for column in range(COLUMNS):
            mask = numbered_mask(kind.name, SEED, column, 2 * SIDE_PX, 2 * SIDE_PX)
            left = NAMES_PX + column * (SIDE_PX + GAP_PX)
            image.paste(Image.fromarray(255 * mask).reduce(2), (left, top))
            draw.text((left, top + SIDE_PX), f"{mask.mean():.0%}", INK, font)
    return np.array(image.convert("RGB"))


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("output", type=Path)
    save_png(parser.parse_args(arguments).output, gallery())
    return 0


if __name__ == "__main__":
    sys.exit(main())
