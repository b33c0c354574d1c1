"""How many attention scores exist at once: all attentions go through their queries in chunks."""

from __future__ import annotations

import torch

MAX_SCORES = 4_000_000
"""Scores held at once on a CPU (16 MB in float32): enough for fast matrix products, few enough to stay in its cache."""

MAX_SCORES_CUDA = 2**26
"""Scores held at once on a GPU (256 MiB in float32, and a few times that while a softmax runs): so many that starting the
kernels costs nothing beside their work, so few that they fit beside a training on a small card."""


def max_scores(device: torch.device) -> int:
    """How many scores to hold at once on a device: a matter of speed and memory, and of the last bits."""
    return MAX_SCORES_CUDA if device.type == "cuda" else MAX_SCORES
