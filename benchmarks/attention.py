"""Times PEN-Net's forward pass, and contextual attention alone, against literal attentions, in one run.

    python -m benchmarks.attention --sizes 256 512 --repeats 3 [--device cuda]

The literal version is what the paper's figure says word by word: for each sample, patches of the deep map become the filters
of a convolution, a softmax over all scores follows, and a transposed convolution with 4x4 patches of the shallow map
pastes what was found. Contextual attention (CA and GntIpt) is timed alone, on a map of 128 channels, a quarter of the side.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Sequence
from functools import partial
from unittest import mock

import torch
import torch.nn.functional as F
from torch import Tensor

import pennet.models.pennet as model
from pennet.models.contextual_attention import contextual_attention
from pennet.models.pennet import PENNet
from pennet.models.released_attention import rebuild_everywhere
from pennet.seeding import choose_device


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


def literal_contextual_attention(features: Tensor, mask: Tensor, softmax_scale: float) -> Tensor:
    """The same map as `contextual_attention`: patches and the identity as filters, all scores at once. Shapes as there."""
    deep = features[:, :, ::2, ::2]
    height, width = deep.shape[-2:]
    level_mask = F.interpolate(mask, (height, width), mode="nearest")
    identity = torch.eye(3, dtype=features.dtype, device=features.device)[None, None]
    rebuilt = []
    for full, x, m in zip(features.split(1), deep.split(1), level_mask.split(1), strict=True):
        patches = F.unfold(x, 3, padding=1)[0].T
        filters = (patches / patches.norm(dim=1, keepdim=True).clamp_min(1e-4)).unflatten(1, (-1, 3, 3))
        matrix = F.conv2d(x, filters, padding=1).flatten(2).transpose(1, 2)[None]  # (1, 1, queries, keys)
        for lines, columns in ((height, width), (width, height)):
            matrix = F.conv2d(matrix, identity, padding=1).view(lines, columns, lines, columns)
            matrix = matrix.permute(1, 0, 3, 2).reshape(1, 1, height * width, height * width)
        valid = (F.unfold(m, 3, padding=1)[0].sum(dim=0) == 0).to(x.dtype)
        weights = torch.softmax(softmax_scale * matrix[0, 0] * valid, dim=1) * valid
        copies = F.unfold(full, 4, stride=2, padding=1)[0].T.unflatten(1, (-1, 4, 4))
        rebuilt.append(F.conv_transpose2d(weights.T.reshape(1, -1, height, width), copies, stride=2, padding=1) / 4)
    return torch.cat(rebuilt)


def seconds(run: Callable[[], object]) -> float:
    with torch.inference_mode():
        _wait()
        started = time.perf_counter()
        run()
        _wait()
    return time.perf_counter() - started


def _wait() -> None:
    """Until a GPU has done what it was asked for."""
    if torch.cuda.is_initialized():
        torch.cuda.synchronize()


def time_contextual_attention(sizes: Sequence[int], repeats: int, device: torch.device) -> None:
    print(f"{'px':>5} {'literal s':>10} {'contextual s':>13} {'ratio':>6} {'max |diff|':>11}")
    for size in sizes:
        features = torch.relu(torch.randn(1, 128, size // 4, size // 4)).to(device)
        mask = centre_hole(size).to(device)
        times: dict[str, list[float]] = {"literal": [], "ours": []}
        for _ in range(repeats):
            times["ours"].append(seconds(partial(contextual_attention, features, mask, 10.0)))
            times["literal"].append(seconds(partial(literal_contextual_attention, features, mask, 10.0)))
        ours, literal = statistics.median(times["ours"]), statistics.median(times["literal"])
        gap = contextual_attention(features, mask, 10.0) - literal_contextual_attention(features, mask, 10.0)
        print(f"{size:5} {literal:10.3f} {ours:13.3f} {literal / ours:6.2f} {gap.abs().max().item():11.1e}")


def centre_hole(size: int) -> Tensor:
    mask = torch.zeros(1, 1, size, size)
    mask[:, :, size // 4 : 3 * size // 4, size // 4 : 3 * size // 4] = 1
    return mask


def main() -> None:
    parser = argparse.ArgumentParser(description="Times a forward pass against a literal attention.")
    parser.add_argument("--sizes", type=int, nargs="+", default=[256, 512], help="image sides in px, multiples of 64")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", default="cpu", help="cpu, cuda or cuda:N")
    arguments = parser.parse_args()
    device = choose_device(arguments.device)
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    generators = {mode: PENNet(attention_mode=mode).eval().to(device) for mode in ("released", "paper")}
    print(f"{'px':>5} {'literal s':>10} {'released s':>11} {'ratio':>6} {'paper s':>8} {'ratio':>6} {'max |diff|':>11}")
    for size in arguments.sizes:
        image = (torch.rand(1, 3, size, size) * 2 - 1).to(device)
        mask = centre_hole(size).to(device)
        times: dict[str, list[float]] = {"literal": [], "released": [], "paper": []}
        with torch.inference_mode():
            ours = generators["released"](image, mask).image
            with mock.patch.object(model, "rebuild_everywhere", literal_rebuild):
                theirs = generators["released"](image, mask).image
        for _ in range(arguments.repeats):  # in turn, so that a slow minute of the machine slows them all
            for mode in ("released", "paper"):
                times[mode].append(seconds(partial(generators[mode], image, mask)))
            with mock.patch.object(model, "rebuild_everywhere", literal_rebuild):
                times["literal"].append(seconds(partial(generators["released"], image, mask)))
        literal, released, paper = (statistics.median(times[k]) for k in ("literal", "released", "paper"))
        difference = (ours - theirs).abs().max().item()
        print(
            f"{size:5} {literal:10.3f} {released:11.3f} {literal / released:6.2f} {paper:8.3f} {literal / paper:6.2f}"
            f" {difference:11.1e}"
        )
    time_contextual_attention(arguments.sizes, arguments.repeats, device)


if __name__ == "__main__":
    assert rebuild_everywhere is model.rebuild_everywhere
    main()
