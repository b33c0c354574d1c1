"""LPIPS as a metric: its declaration, and its network on uint8 pictures (`pennet/metrics/perceptual.py`)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pennet.metrics.metric import Metric
from pennet.metrics.pixel import Images, Values

if TYPE_CHECKING:
    import torch

    from pennet.metrics import perceptual


def load(net: Any, device: torch.device) -> perceptual.LPIPS:
    """The network with the backbone `net`.

    Raises:
        WeightsUnavailable: why its weights cannot be had, and how to get them.
    """
    from pennet.metrics import perceptual

    return perceptual.LPIPS(net).to(device)


def lpips(fake: Images, real: Images, network: perceptual.LPIPS) -> Values:
    """Distances of uint8 batches (N,H,W,3) or grey (N,H,W,1): float64 (N,), 0 for identical images."""
    return network.score(fake, real)


LPIPS = Metric(
    name="lpips",
    heading="LPIPS",
    better="lower",
    range="0 to about 1",
    digits=4,
    needs="network",
    function=lpips,
    headline=True,
    min_side_px=32,  # below, a backbone's last maps are empty
    variants={"alex": "alex", "vgg": "vgg"},
    choose=lambda config, side_px: config.lpips_nets,
    load=load,
)
