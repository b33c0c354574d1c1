"""Times PEN-Net's forward pass in `released` mode against a literal attention, in one run.

    python -m benchmarks.attention --sizes 256 512 --repeats 3

The literal version is what the paper's figure says word by word: for each sample, patches of the deep map become the filters
of a convolution, a softmax over all scores follows, and a transposed convolution with 4x4 patches of the shallow map
pastes what was found.
"""

from __future__ import annotations

import argparse
import statistics
import time
from unittest import mock

import torch
import torch.nn.functional as F
from torch import Tensor

import pennet.models.pennet as model
from pennet.models.attention import rebuild_everywhere
from pennet.models.pennet import PENNet


def literal_rebuild(shallow: Tensor, deep: Tensor, mask: Tensor, kernel_size: int, softmax_scale: float) -> Tensor:
    """The same map as `rebuild_everywhere`, from patches used as filters. Shapes as there."""
    height, width = deep.shape[-2:]
    pad = kernel_size // 2
    level_mask = F.interpolate(mask, (height, width), mode="bilinear", align_corners=True)
    rebuilt = []
    for x1, x2, m in zip(shallow.split(1), deep.split(1), level_mask.split(1), strict=True):
        patches = F.unfold(x2, kernel_size, padding=pad)[0].T.reshape(height * width, -1, kernel_size, kernel_size)
        norms = patches.flatten(1).norm(dim=1).clamp_min(1e-4)
        valid = (F.unfold(m, kernel_size, padding=pad)[0].mean(dim=0) == 0).to(x1.dtype).view(1, -1, 1, 1)
        scores = F.conv2d(F.pad(x2, (pad,) * 4), patches / norms.view(-1, 1, 1, 1))
        weights = torch.softmax(scores * valid * softmax_scale, dim=1)
        weights = (weights * valid).clamp_min(1e-8)
        copies = F.unfold(x1, 4, stride=2, padding=1)[0].T.reshape(height * width, -1, 4, 4)
        rebuilt.append(F.conv_transpose2d(weights, copies, stride=2, padding=1) / 4)
    return torch.cat(rebuilt)


def seconds(generator: PENNet, image: Tensor, mask: Tensor) -> float:
    started = time.perf_counter()
    with torch.inference_mode():
        generator(image, mask)
    return time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(description="Times a forward pass against a literal attention.")
    parser.add_argument("--sizes", type=int, nargs="+", default=[256, 512], help="image sides in px, multiples of 64")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    generators = {mode: PENNet(attention_mode=mode).eval() for mode in ("released", "paper")}
    print(f"{'px':>5} {'literal s':>10} {'released s':>11} {'ratio':>6} {'paper s':>8} {'ratio':>6} {'max |diff|':>11}")
    for size in arguments.sizes:
        image = torch.rand(1, 3, size, size) * 2 - 1
        mask = torch.zeros(1, 1, size, size)
        mask[:, :, size // 4 : 3 * size // 4, size // 4 : 3 * size // 4] = 1
        times: dict[str, list[float]] = {"literal": [], "released": [], "paper": []}
        with torch.inference_mode():
            ours = generators["released"](image, mask).image
            with mock.patch.object(model, "rebuild_everywhere", literal_rebuild):
                theirs = generators["released"](image, mask).image
        for _ in range(arguments.repeats):  # in turn, so that a slow minute of the machine slows them all
            for mode in ("released", "paper"):
                times[mode].append(seconds(generators[mode], image, mask))
            with mock.patch.object(model, "rebuild_everywhere", literal_rebuild):
                times["literal"].append(seconds(generators["released"], image, mask))
        literal, released, paper = (statistics.median(times[k]) for k in ("literal", "released", "paper"))
        difference = (ours - theirs).abs().max().item()
        print(
            f"{size:5} {literal:10.3f} {released:11.3f} {literal / released:6.2f} {paper:8.3f} {literal / paper:6.2f}"
            f" {difference:11.1e}"
        )


if __name__ == "__main__":
    assert rebuild_everywhere is model.rebuild_everywhere
    main()
