"""Speed and memory of the image metrics, beside scikit-image, pytorch-msssim and torchmetrics.

`python -m benchmarks.metrics --images 1000`. The contenders take turns on every batch, so that a busy
machine slows all of them; each starts from the same uint8 arrays.
"""

from __future__ import annotations

import argparse
import time
import tracemalloc
from collections.abc import Callable

import torch
from pytorch_msssim import ms_ssim, ssim
from skimage.metrics import structural_similarity
from torchmetrics.functional.image import (
    multiscale_structural_similarity_index_measure,
    peak_signal_noise_ratio,
    structural_similarity_index_measure,
)

from pennet.metrics.image_scores import Measure, score_images
from pennet.metrics.pairs import Pairs
from pennet.metrics.pixel import L1, PSNR, Images, l1, psnr
from pennet.metrics.structure import MS_SSIM, SSIM, ms_ssim_variant, structure


def ours(fake: Images, real: Images) -> None:
    l1(fake, real)
    psnr(fake, real)
    structure(fake, real)


def scikit_image(fake: Images, real: Images) -> None:
    for a, b in zip(fake, real, strict=True):
        options = {"gaussian_weights": True, "use_sample_covariance": False}
        structural_similarity(a, b, channel_axis=-1, data_range=255, **options)


def _torch(images: Images) -> torch.Tensor:
    return torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255


def pytorch_msssim(fake: Images, real: Images) -> None:
    x, y = _torch(fake), _torch(real)
    ssim(x, y, data_range=1.0, size_average=False)
    ms_ssim(x, y, data_range=1.0, size_average=False)


def torchmetrics(fake: Images, real: Images) -> None:
    x, y = _torch(fake), _torch(real)
    (x - y).abs().mean(dim=(1, 2, 3))
    peak_signal_noise_ratio(x, y, data_range=1.0, reduction="none", dim=(1, 2, 3))
    structural_similarity_index_measure(x, y, data_range=1.0, reduction="none")
    multiscale_structural_similarity_index_measure(x, y, data_range=1.0)


CONTENDERS: dict[str, Callable[[Images, Images], None]] = {
    "pennet: L1, PSNR, SSIM, MS-SSIM": ours,
    "scikit-image: SSIM": scikit_image,
    "pytorch-msssim: SSIM, MS-SSIM": pytorch_msssim,
    "torchmetrics: L1, PSNR, SSIM, MS-SSIM": torchmetrics,
}


def _pictures(count: int, side_px: int, seed: int) -> Images:
    coarse = torch.rand(count, 3, 16, 16, generator=torch.Generator().manual_seed(seed))
    smooth = torch.nn.functional.interpolate(coarse, (side_px, side_px), mode="bicubic").clamp(0, 1)
    return (smooth * 255).to(torch.uint8).permute(0, 2, 3, 1).contiguous().numpy()


def speed(images: int, side_px: int, batch_size: int) -> None:
    seconds = dict.fromkeys(CONTENDERS, 0.0)
    for start in range(-batch_size, images, batch_size):  # the first batch warms up
        count = min(batch_size, images - max(start, 0))
        real, fake = _pictures(count, side_px, start + batch_size), _pictures(count, side_px, start + batch_size + 1)
        for name, contender in CONTENDERS.items():
            before = time.perf_counter()
            contender(fake, real)
            seconds[name] += (time.perf_counter() - before) * (start >= 0)
    base = seconds["pennet: L1, PSNR, SSIM, MS-SSIM"]
    print(f"{images} images of {side_px} px, batches of {batch_size}, {torch.get_num_threads()} torch threads")
    for name, spent in seconds.items():
        print(f"  {name:40s} {1000 * spent / images:7.2f} ms/image   {spent / base:5.2f} x pennet's time")


def memory(images: int, side_px: int, batch_size: int) -> None:
    real, fake = _pictures(8, side_px, 0), _pictures(8, side_px, 1)
    measures = [Measure(metric, None) for metric in (L1, PSNR, SSIM, MS_SSIM.of(ms_ssim_variant(side_px)))]
    for count in (images // 4, images):
        # A copy for every request, as from a file: whatever is kept would show.
        pairs = Pairs([str(i) for i in range(count)], lambda i: fake[i % 8].copy(), lambda i: real[i % 8].copy(), None)
        tracemalloc.start()
        score_images(pairs, measures, batch_size)
        print(f"  peak while scoring {count:5d} images: {tracemalloc.get_traced_memory()[1] / 2**20:.1f} MiB")
        tracemalloc.stop()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--side-px", type=int, default=256)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="torch's, for the others")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    with torch.inference_mode():
        speed(arguments.images, arguments.side_px, arguments.batch_size)
    memory(arguments.images, arguments.side_px, arguments.batch_size)


if __name__ == "__main__":
    main()
