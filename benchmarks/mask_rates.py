"""How many masks a second does each kind draw?

    python -m benchmarks.mask_rates
    python -m benchmarks.mask_rates --size 512 --kinds irregular many_sizes

From drawing numbers to the finished mask, by the second of CPU time of one core, so that other processes matter little; the
best of several rounds, because they still share its caches.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence

import numpy as np

from pennet.masks import KINDS, mask_function

ROUND_SECONDS = 0.3


def rate(name: str, side_px: int, rounds: int) -> float:
    """Masks a second of a kind, of the best round; each round draws the same masks."""
    draw, best, num_masks = mask_function(name), 0.0, 1
    while rounds:
        start = time.process_time()
        for seed in range(num_masks):
            draw(np.random.default_rng(seed), side_px, side_px)
        seconds = time.process_time() - start
        if seconds < ROUND_SECONDS / 2:  # too short to be told from noise
            num_masks *= 2
            continue
        best, rounds = max(best, num_masks / seconds), rounds - 1
    return best


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=256, help="side of a mask in px")
    parser.add_argument("--rounds", type=int, default=5)
    names = [kind.name for kind in KINDS]
    parser.add_argument("--kinds", nargs="+", choices=names, default=names)
    options = parser.parse_args(arguments)
    for name in options.kinds:
        print(f"{name:<20} {rate(name, options.size, options.rounds):>10,.0f} a second", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
