"""What the intervals of IS, FID and KID cost beside the scores themselves, and a bootstrap beside them.

`python -m benchmarks.set_metrics --images 36500 --features 1280`, with random features, in CPU seconds. The last column is
the time of a score with its interval, in times of the score alone.
"""

from __future__ import annotations

import argparse
import resource
import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from pennet.metrics.distribution import (
    inception_score,
    inception_scores_without,
    kernel_distance,
    kernel_distances_without,
)
from pennet.metrics.frechet import frechet_distance, frechet_jackknife
from pennet.metrics.summary import bootstrap_interval, jackknife_groups

SEED, SPLITS, SUBSETS, SUBSET_IMAGES, RESAMPLES, CLASSES = 7, 10, 100, 1000, 2000, 1000


def _random(images: int, features: int, seed: int) -> NDArray[np.float32]:
    generator = np.random.default_rng(seed)
    mix = np.random.default_rng(0).standard_normal((features, features), dtype=np.float32) / np.float32(features**0.5)
    return generator.standard_normal((images, features), dtype=np.float32) @ mix


def _seconds(work: Callable[[], object], repeats: int) -> float:
    taken = []
    for _ in range(repeats):
        before = time.process_time()
        work()
        taken.append(time.process_time() - before)
    return min(taken)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=36500)
    parser.add_argument("--features", type=int, default=1280)
    parser.add_argument("--repeats", type=int, default=2)
    arguments = parser.parse_args()
    fake, real, logits = (
        _random(arguments.images, size, seed) for seed, size in enumerate((arguments.features, arguments.features, CLASSES))
    )
    groups = jackknife_groups(arguments.images, SEED)
    # A score, and the same with all that its interval needs.
    contenders: dict[str, tuple[Callable[[], object], Callable[[], object]]] = {
        "IS": (
            lambda: inception_score(logits, SPLITS, SEED),
            lambda: (inception_score(logits, SPLITS, SEED), inception_scores_without(logits, SPLITS, SEED, groups)),
        ),
        "FID": (lambda: frechet_distance(fake, real), lambda: frechet_jackknife(fake, real, groups)),
        "KID": (
            lambda: kernel_distance(fake, real, SUBSETS, SUBSET_IMAGES, SEED),
            lambda: (
                kernel_distance(fake, real, SUBSETS, SUBSET_IMAGES, SEED),
                kernel_distances_without(fake, real, groups),
            ),
        ),
        "a mean": (
            lambda: logits[:, 0].mean(dtype=np.float64),
            lambda: bootstrap_interval(logits[:, 0].astype(np.float64), RESAMPLES, SEED),
        ),
    }
    print(f"{arguments.images} images, {arguments.features} features, the best of {arguments.repeats}")
    for name, (value, both) in contenders.items():
        alone, together = _seconds(value, arguments.repeats), _seconds(both, arguments.repeats)
        ratio = f"{together / alone:6.2f} x" if alone > 0.01 else ""
        print(f"  {name:7s} score {alone:7.2f} s   with its interval {together:7.2f} s   {ratio}", flush=True)
    print(f"  peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.2f} GiB")


if __name__ == "__main__":
    main()
