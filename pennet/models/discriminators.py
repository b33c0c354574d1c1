"""The discriminator of PEN-Net: a small convolutional classifier of image patches."""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm


class PatchDiscriminator(nn.Module):
    """Judges every patch of a whole composite, with spectrally normalised convolutions.

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

        The smallest side is `pennet.config.smallest_judged_side_px`.
        """
        for conv in self.convs:
            image = F.leaky_relu(conv(image), 0.2)
        return self.judge(image)
