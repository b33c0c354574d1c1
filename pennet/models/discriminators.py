"""What the generators must convince: one discriminator a method."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm


class PatchDiscriminator(nn.Module):
    """PEN-Net's: judges every patch of a whole composite, with spectrally normalised convolutions.

    Args:
        width: channels of the first convolution, doubled by each further one; 64 in the paper.
        strides: of the convolutions. The paper's 2, 2, 2, 1 make patches of 93 px, about a third of its pictures' side;
            fewer halvings keep that share where pictures are smaller (2, 1, 1, 1: 37 px).

    Source: Zeng et al. 2019, section 3.4, after SN-PatchGAN.
    """

    def __init__(self, width: int = 64, strides: Sequence[int] = (2, 2, 2, 1)):
        super().__init__()
        channels = [3, *(width * 2**depth for depth in range(len(strides)))]
        self.convs = nn.ModuleList(
            spectral_norm(nn.Conv2d(c_in, c_out, 5, stride, padding=1, bias=False))
            for c_in, c_out, stride in zip(channels[:-1], channels[1:], strides, strict=True)
        )
        self.judge = nn.Conv2d(channels[-1], 1, 5, padding=1)

    def forward(self, image: Tensor) -> Tensor:
        """(B, 3, H, W) in [-1, 1] -> logits (B, 1, H', W'), one a patch: 27 x 27 for 256 px with the paper's strides.

        The smallest side is `pennet.config.pennet.smallest_judged_side_px`.
        """
        for conv in self.convs:
            image = F.leaky_relu(conv(image), 0.2)
        return self.judge(image)


class WassersteinDiscriminator(nn.Module):
    """CA's: strided convolutions and one linear layer, a score for a picture of one size.

    The literature on Wasserstein GANs calls it a critic. Source: Yu et al. 2018, section 3.2.

    Args:
        channels: of the 5x5 stride-2 convolutions, without normalisation; 64, 128, 256, 512 for the one of the hole's box
            and 64, 128, 256, 256 for the one of the whole picture.
        side_px: side of its pictures.
    """

    def __init__(self, channels: Sequence[int], side_px: int):
        super().__init__()
        self.convs = nn.ModuleList(
            nn.Conv2d(c_in, c_out, 5, stride=2, padding=2) for c_in, c_out in zip([3, *channels[:-1]], channels, strict=True)
        )
        cells = math.ceil(side_px / 2 ** len(channels)) ** 2  # each convolution halves the side and rounds up
        self.judge = nn.Linear(cells * channels[-1], 1)

    def forward(self, image: Tensor) -> Tensor:
        """(B, 3, side, side) in [-1, 1] -> scores (B, 1)."""
        for conv in self.convs:
            image = F.leaky_relu(conv(image), 0.2)
        return self.judge(image.flatten(1))


class SNPatchDiscriminator(nn.Module):
    """GntIpt's, SN-PatchGAN: every element of the last map is a logit. Source: Yu et al. 2019, section 3.3.

    Args:
        width: channels of the first of six spectrally normalised 5x5 stride-2 convolutions; 64 in the paper.
    """

    def __init__(self, width: int = 64):
        super().__init__()
        channels = [width, 2 * width, 4 * width, 4 * width, 4 * width, 4 * width]
        self.convs = nn.ModuleList(
            spectral_norm(nn.Conv2d(c_in, c_out, 5, stride=2, padding=2))
            for c_in, c_out in zip([4, *channels[:-1]], channels, strict=True)
        )

    def forward(self, image: Tensor, mask: Tensor) -> Tensor:
        """(B, 3, H, W) in [-1, 1] and (B, 1, H, W), 1 = hole -> logits (B, 4 width, H/64, W/64), rounded up."""
        x = torch.cat([image, mask], dim=1)
        for conv in self.convs:
            x = F.leaky_relu(conv(x), 0.2)
        return x
