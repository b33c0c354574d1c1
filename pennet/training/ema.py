"""The generator's exponential moving average (EMA): the weights that are kept, shown and used."""

from __future__ import annotations

import copy

import torch
from torch import nn


class EMA:
    """Follows a network's weights.

    Args:
        network: what is followed; the average begins with its weights.
        decay: share of the average that a step keeps, in [0, 1); 0 is the network's last weights themselves.
    """

    def __init__(self, network: nn.Module, decay: float):
        self.network = copy.deepcopy(network).requires_grad_(False).eval()
        """The average, in eval mode."""
        self.decay = decay

    @torch.no_grad()
    def update(self, network: nn.Module, step: int) -> None:
        """Moves towards the network's weights; the decay warms up so that the first weights are soon forgotten.

        Args:
            network: with the same parameters as the one at the start.
            step: counted from 1; the decay is at most (1 + step) / (10 + step).
        """
        decay = min(self.decay, (1 + step) / (10 + step)) if self.decay else 0.0
        for kept, current in zip(self.network.parameters(), network.parameters(), strict=True):
            kept.lerp_(current, 1 - decay)
        for buffer, current_buffer in zip(self.network.buffers(), network.buffers(), strict=True):
            buffer.copy_(current_buffer)
