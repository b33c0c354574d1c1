"""How a network's weights begin."""

from __future__ import annotations

from typing import Literal

from torch import nn


def initialise(network: nn.Module, kind: Literal["normal", "kaiming"]) -> None:
    """Draws every convolution's weight and zeroes its bias.

    Args:
        network: changed in place.
        kind: `normal` is N(0, 0.02), the paper's; `kaiming` keeps the variance through leaky rectifiers of slope 0.2,
            which at a small width starts much faster.
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            # Of a spectrally normalised convolution `.weight` is a computed copy; the original is what is learned.
            parameters = dict(module.named_parameters())
            weight = parameters.get("parametrizations.weight.original", parameters.get("weight"))
            assert weight is not None
            if kind == "normal":
                nn.init.normal_(weight, 0.0, 0.02)
            else:
                nn.init.kaiming_normal_(weight, a=0.2)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
