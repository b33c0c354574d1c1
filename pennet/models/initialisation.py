"""How a network's weights begin."""

from __future__ import annotations

import math
from typing import Literal

from torch import nn


def initialise(network: nn.Module, kind: Literal["normal", "kaiming"]) -> None:
    """Draws every convolution's weight, plain or transposed, and zeroes its bias; all other layers keep PyTorch's start.

    Args:
        network: changed in place.
        kind: `normal` is N(0, 0.02), the paper's; `kaiming` keeps the variance through leaky rectifiers of slope 0.2,
            which at a small width starts much faster.
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            # Of a spectrally normalised convolution `.weight` is a computed copy; the original is what is learned.
            parameters = dict(module.named_parameters())
            weight = parameters.get("parametrizations.weight.original", parameters.get("weight"))
            if weight is None:
                raise TypeError(
                    f"{module} has no weight of its own to draw; teach pennet.models.initialisation its parametrization"
                )
            if kind == "normal":
                nn.init.normal_(weight, 0.0, 0.02)
            elif isinstance(module, nn.ConvTranspose2d):
                # Its weight is (in, out, k, k), and a stride spreads the k x k products over as many pixels.
                products = weight[:, 0].numel() / module.groups / math.prod(module.stride)
                nn.init.normal_(weight, 0.0, nn.init.calculate_gain("leaky_relu", 0.2) / math.sqrt(products))
            else:
                nn.init.kaiming_normal_(weight, a=0.2)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
