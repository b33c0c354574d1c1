"""The discriminator of PEN-Net: a small convolutional classifier of image patches."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm


class PatchDiscriminator(nn.Module):
    """Judges every patch of a whole composite, with spectrally normalised convolutions.

    Args:
        width: channels of the first convolution; 64 in the paper.

    Source: Zeng et al. 2019, section 3.4, after SN-PatchGAN.
    """

    def __init__(self, width: int = 64):
        super().__init__()
        layers = [(3, width, 2), (width, 2 * width, 2), (2 * width, 4 * width, 2), (4 * width, 8 * width, 1)]
        self.convs = nn.ModuleList(
            spectral_norm(nn.Conv2d(c_in, c_out, 5, stride, padding=1, bias=False)) for c_in, c_out, stride in layers
        )
        self.judge = nn.Conv2d(8 * width, 1, 5, padding=1)

    def forward(self, image: Tensor) -> Tensor:
        """(B, 3, H, W) in [-1, 1] -> logits (B, 1, H', W'), one a patch: 27 x 27 for 256 px. Sides of 47 px at least."""
        for conv in self.convs:
            image = F.leaky_relu(conv(image), 0.2)
        return self.judge(image)
