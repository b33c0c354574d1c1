"""What a photo of 12 megapixels takes, from the start of `pennet inpaint` to the written JPEG.

    python -m benchmarks.large_photo [--model default]

An example photo, enlarged to 4,000 x 3,000 px, with one hole of 600 x 600 px, and with ten of 190 x 190 px: 3 % of it each.
Prints the seconds and the peak memory of the whole process.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

PHOTO = Path(__file__).parents[1] / "pennet/examples/canyon.jpg"
WIDTH_PX, HEIGHT_PX = 4000, 3000


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--model", default="default", help="as of `pennet inpaint`")
    model = parser.parse_args().model
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        photo = Image.open(PHOTO).resize((WIDTH_PX, HEIGHT_PX), Image.Resampling.LANCZOS)
        photo.save(folder / "photo.jpg", quality=92)
        print("| holes | seconds | peak memory |\n| --- | ---: | ---: |")
        for holes, corners, side in (
            ("one of 600 px", [(1200, 1700)], 600),
            ("ten of 190 px", [(200 + 550 * (i % 5), 300 + 1800 * (i // 5)) for i in range(10)], 190),
        ):
            mask = np.zeros((HEIGHT_PX, WIDTH_PX), np.uint8)
            for top, left in corners:
                mask[top : top + side, left : left + side] = 255
            Image.fromarray(mask).save(folder / "mask.png")
            command = [sys.executable, "-m", "pennet", "inpaint", "photo.jpg", "mask.png", "--overwrite", "--model", model]
            start = time.perf_counter()
            process = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            _, status, used = os.wait4(process.pid, 0)
            seconds = time.perf_counter() - start
            if status:
                sys.exit(f"pennet inpaint ended with status {os.waitstatus_to_exitcode(status)}")
            print(f"| {holes} | {seconds:.1f} | {used.ru_maxrss / 2**20:.2f} GiB |")


if __name__ == "__main__":
    main()
