"""Times the preparation of a data set like Places2, and reading it, against plain loops with Pillow, in one run.

    python -m benchmarks.prepared_data --pictures 100000 [--source-px 256] [--size-px 256] [--workers 2] [--alike]

The pictures are JPEGs of 256 px, random crops of the pictures that come with the project, so that no two are the same; with
`--alike` they repeat after 2,000, and most are left out as look-alikes. They lie in a tar, in a temporary folder that is
removed. Printed are:

- pictures prepared in a second, against one process that only decodes, crops, resizes, encodes and writes them, and against
  one that writes all that the index and the digests hold as well;
- the highest memory of this process with 1,000 pictures and with all of them;
- pictures read in a second in random order, against decoding them from memory;
- the seconds until a new process has the first batch of a training that goes on in the middle of an epoch.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import os
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from pennet.data.pictures.shards import Shards
from pennet.data.preparing.duplicates import fingerprint
from pennet.data.preparing.prepare import prepare
from pennet.data.sets.folder import FOLDER
from pennet.data.sets.splits import assign
from pennet.data.sets.terrain import ARCHIVE, TERRAIN
from pennet.in_order import processes

DISTINCT_IF_ALIKE = 2000
READS = 2000
BATCH = 32
FIRST_BATCH = """
import sys
from pathlib import Path
import torch
from pennet.training.dataset import InpaintingDataset, StepSampler, batches
from pennet.data.pictures.shards import Shards
from pennet.masks.centre import centre_square
import time
started = time.perf_counter()
shards = Shards(Path(sys.argv[1]), "train")
batch = int(sys.argv[2])
sampler = StepSampler(len(shards), batch, 0, len(shards) // batch // 2, 10**9)
data = InpaintingDataset(shards, 0, True, False, 0.0, centre_square)
next(batches(data, sampler, 0, torch.device("cpu")))
print(time.perf_counter() - started)
"""


class Plain(NamedTuple):
    """What the plain loops take, in seconds a picture."""

    pictures: float
    """Decode, crop, resize, encode, write."""
    everything: float
    """And what the index and the digests hold."""


def write_source(path: Path, count: int, side_px: int, alike: bool) -> None:
    """A tar of so many JPEGs, in folders of 1,000."""
    contents = (item.content for item in TERRAIN.read([Path(ARCHIVE)]).items())
    originals = [np.asarray(Image.open(io.BytesIO(content)).convert("RGB")) for content in contents]
    rng = np.random.default_rng(0)
    with tarfile.open(path, "w") as archive:
        repeated: list[bytes] = []
        for n in range(count):
            if alike and n >= DISTINCT_IF_ALIKE:
                content = repeated[n % DISTINCT_IF_ALIKE]
            else:
                content = _crop(originals[n % len(originals)], side_px, rng)
                repeated += [content] if alike else []
            member = tarfile.TarInfo(f"data/{n // 1000:04d}/{n:08d}.jpg")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))


def _crop(original: np.ndarray, side_px: int, rng: np.random.Generator) -> bytes:
    side = int(rng.integers(original.shape[0] // 3, original.shape[0]))
    top, left = rng.integers(0, original.shape[0] - side, 2)
    picture = Image.fromarray(original[top : top + side, left : left + side]).resize((side_px, side_px))
    file = io.BytesIO()
    picture.rotate(90 * int(rng.integers(4))).save(file, "JPEG", quality=85)
    return file.getvalue()


def plain(archive: Path, size_px: int, folder: Path, count: int, everything: bool) -> float:
    """Seconds a picture of a loop in one process; the same files, one for each picture."""
    folder.mkdir()
    digest = hashlib.sha256()
    started = time.perf_counter()
    with tarfile.open(archive) as source:
        for n, member in zip(range(count), source, strict=False):
            content = source.extractfile(member).read()  # type: ignore[union-attr]
            image = Image.open(io.BytesIO(content)).convert("RGB")
            ending = "jpg"
            if image.size != (size_px, size_px):
                side = min(image.size)
                left, top = ((length - side) // 2 for length in image.size)
                image = image.crop((left, top, left + side, top + side)).resize(
                    (size_px, size_px), Image.Resampling.BILINEAR
                )
                file = io.BytesIO()
                image.save(file, "PNG", compress_level=1)
                content, ending = file.getvalue(), "png"
            pixels = np.array(image)
            if everything:
                digest.update(pixels)
                hashlib.sha256(content).digest()
                fingerprint(pixels)
            (folder / f"{n}.{ending}").write_bytes(content)
    return (time.perf_counter() - started) / count


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


class PeakMemory:
    """The highest resident memory of this process while it is entered."""

    def __enter__(self) -> PeakMemory:
        self._peak = resident_bytes()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()
        return self

    def _watch(self) -> None:
        while not self._over.wait(0.02):
            self._peak = max(self._peak, resident_bytes())

    def __exit__(self, *error: object) -> None:
        self._over.set()
        self._thread.join()

    @property
    def mib(self) -> float:
        return self._peak / 2**20


def prepare_in(folder: Path, archive: Path, size_px: int, num_workers: int) -> float:
    """Seconds that a preparation takes, without reading the list of the archive before it."""
    source = FOLDER.read([archive])
    split = assign(FOLDER, source, None, seed=0, test_ratio=0.1, val_ratio=0.0)
    started = time.perf_counter()
    with processes(num_workers) as workers:
        prepare(
            FOLDER,
            source,
            split,
            folder / "prepared",
            size_px=size_px,
            resize_filter="bilinear",
            shard_bytes=256_000_000,
            max_rejected_ratio=0.0,
            max_look_alike_bits=4,
            workers=workers,
            partial_dir=folder / "partial",
        )
    return time.perf_counter() - started


def read_ratio(folder: Path, repeats: int = 3) -> float:
    """How fast random reads are, as a share of decoding alone."""
    shards = Shards(folder, "train")
    places = np.random.default_rng(0).permutation(len(shards))[:READS].tolist()
    contents = [shards.content(place) for place in places]
    best = {"read": float("inf"), "decode": float("inf")}
    for _ in range(repeats):  # in turn, so that a slow minute of the machine slows both
        for what, each in (("decode", _decoded(contents)), ("read", (shards[place] for place in places))):
            started = time.process_time()
            for _ in each:
                pass
            best[what] = min(best[what], time.process_time() - started)
    return best["decode"] / best["read"]


def _decoded(contents: list[bytes]) -> Iterator[np.ndarray]:
    return (np.array(Image.open(io.BytesIO(content))) for content in contents)


def main() -> None:
    parser = argparse.ArgumentParser(description="Times the preparation of a data set and reading it.")
    parser.add_argument("--pictures", type=int, default=100_000)
    parser.add_argument("--source-px", type=int, default=256)
    parser.add_argument("--size-px", type=int, default=256, help="other than --source-px: pictures are resized, not copied")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--alike", action="store_true", help="repeat pictures, so that look-alikes are left out")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder, few = Path(temporary), min(1000, arguments.pictures)
        for name, count in (("few", few), ("all", arguments.pictures)):
            write_source(folder / f"{name}.tar", count, arguments.source_px, arguments.alike)
        peaks = {}
        for name in ("few", "all"):
            with PeakMemory() as peak:
                seconds = prepare_in(folder, folder / f"{name}.tar", arguments.size_px, arguments.workers)
            peaks[name] = peak.mib
        ours = seconds / arguments.pictures
        num_plain = min(5000, arguments.pictures)
        loop = Plain(
            *(plain(folder / "all.tar", arguments.size_px, folder / str(all_), num_plain, all_) for all_ in (False, True))
        )
        command = [sys.executable, "-c", FIRST_BATCH, str(folder / "prepared"), str(BATCH)]
        first_batch = subprocess.run(command, capture_output=True, text=True, check=True)
        print(f"prepared: {1 / ours:.0f} pictures/s with {arguments.workers} workers")
        print(f"  against decoding and writing alone, one process: {loop.pictures / ours:.2f}")
        print(f"  against a loop that also hashes:                 {loop.everything / ours:.2f}")
        print(f"memory: {peaks['few']:.0f} MiB with {few:,} pictures, {peaks['all']:.0f} MiB with {arguments.pictures:,}")
        print(f"random reads: {read_ratio(folder / 'prepared'):.2f} of decoding alone")
        print(f"first batch of {BATCH} after going on: {float(first_batch.stdout):.2f} s")


if __name__ == "__main__":
    main()
