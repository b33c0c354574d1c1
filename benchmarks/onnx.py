"""Times generators in ONNX Runtime beside torch, and says how far their pictures are apart.

    python -m benchmarks.onnx [MODEL ...] --sizes 64 128 256 --repeats 3 --threads 2

MODEL is a folder of a trained generator; without any, the default sizes of all three methods with random weights, which
take the same time. The hole is a box of a sixteenth of the picture. Medians; the runs of both alternate.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor, nn

from pennet.errors import UserError
from pennet.generator_files import load_generator
from pennet.models.pennet import PENNet
from pennet.models.two_stage import CAGenerator, GntIptGenerator
from pennet.onnx.exporting import export_onnx
from pennet.onnx.running import load_onnx

T = TypeVar("T")


def timed(run: Callable[[], T]) -> tuple[float, T]:
    begin = time.perf_counter()
    result = run()
    return time.perf_counter() - begin, result


def picture_and_hole(size: int) -> tuple[Tensor, Tensor]:
    mask = torch.zeros(1, 1, size, size)
    mask[:, :, size // 4 : size // 2, size // 3 : size // 3 + size // 4] = 1
    return torch.rand(1, 3, size, size) * 2 - 1, mask


def rows(name: str, generator: nn.Module, sizes: list[int], repeats: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        seconds, _ = timed(lambda: export_onnx(generator, path, name))
        exported = load_onnx(path)
        for size in sizes:
            image, mask = picture_and_hole(size)
            gib = exported.attention_gib(1, size, size)
            times: dict[str, list[float]] = {"torch": [], "onnx": []}
            with torch.inference_mode():
                try:
                    apart = (generator(image, mask).image - exported(image, mask).image).abs().max().item()
                except UserError:
                    print(f"| {name} | {size} | | refused | {gib:.2f} | |")
                    continue
                for _ in range(repeats):
                    times["torch"].append(timed(lambda i=image, m=mask: generator(i, m))[0])
                    times["onnx"].append(timed(lambda i=image, m=mask: exported(i, m))[0])
            torch_s, onnx_s = (statistics.median(values) for values in times.values())
            print(f"| {name} | {size} | {torch_s:.3f} | {onnx_s:.3f} | {gib:.2f} | {apart:.0e} |", flush=True)
        print(f"<!-- {name}: exported in {seconds:.0f} s, {path.stat().st_size / 2**20:.1f} MiB -->", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", type=Path, metavar="MODEL")
    parser.add_argument("--sizes", nargs="+", type=int, default=[64, 128, 256])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    generators: dict[str, nn.Module] = {folder.resolve().name: load_generator(folder) for folder in arguments.models}
    if not generators:
        generators = {"pennet": PENNet(), "ca": CAGenerator(), "gntipt": GntIptGenerator()}
    print("| model | px | torch, s | ONNX, s | attention, GiB | largest difference |\n|---|---:|---:|---:|---:|---:|")
    for name, generator in generators.items():
        rows(name, generator.eval(), arguments.sizes, arguments.repeats)


if __name__ == "__main__":
    main()
