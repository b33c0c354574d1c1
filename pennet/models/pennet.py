"""PEN-Net's generator: Pyramid-context ENcoder Network (Zeng et al., CVPR 2019, section 3), top to bottom.

Scales count from 1 (half the image's side) to L (the deepest). The encoder makes a map of each; attention transfer fills
their holes from the deepest to the shallowest; the multi-scale decoder paints a picture from the filled maps.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pennet.compositing import fill_hole
from pennet.models.attention import Affinity, fill_holes, rebuild_everywhere
from pennet.models.output import GeneratorOutput
from pennet.models.upsampling import double

if TYPE_CHECKING:
    from pennet.config.pennet import PENNetConfig

AttentionMode = Literal["paper", "released"]
AttentionLevels = Literal["all", "deepest", "none"]


def scale_channels(num_levels: int, base_width: int) -> list[int]:
    """Channels of the encoder's maps from scale 1 to L: c, 2c, 4c, 8c, 16c, 16c, ..."""
    return [base_width * 2 ** min(scale, 4) for scale in range(num_levels)]


class PyramidContextEncoder(nn.Module):
    """Six (L) strided convolutions, each halving the map: (B, 4, H, W) -> x_1 ... x_L. Source: section 3.1."""

    def __init__(self, channels: Sequence[int]):
        super().__init__()
        self.convs = nn.ModuleList(
            nn.Conv2d(c_in, c_out, 3, stride=2, padding=1) for c_in, c_out in zip([4, *channels[:-1]], channels, strict=True)
        )

    def forward(self, x: Tensor) -> list[Tensor]:
        maps = []
        for scale, conv in enumerate(self.convs, start=1):
            x = conv(x)
            x = F.relu(x) if scale == len(self.convs) else F.leaky_relu(x, 0.2)
            maps.append(x)
        return maps


class AttentionTransferNetwork(nn.Module):
    """Carries the attention learned on a deeper, filled map to the next shallower one, and fills its hole. Section 3.2.

    Four (by default) parallel dilated convolutions refine what was filled; at the deepest transfer there are none.

    Args:
        channels: channels of the shallow map.
        kernel_size: side of the compared patches.
        dilations: dilation of the parallel refining convolutions; empty for none. They share the channels, the first ones
            with one more where the shares are not even.
        mode: `paper` or `released`, see `pennet.models.attention`.
        softmax_scale, valid_threshold, affinity: see `fill_holes`.
    """

    def __init__(
        self,
        channels: int,
        kernel_size: int,
        dilations: Sequence[int],
        mode: AttentionMode,
        softmax_scale: float,
        valid_threshold: float,
        affinity: Affinity,
    ):
        super().__init__()
        self.kernel_size = kernel_size
        self.mode = mode
        self.softmax_scale = softmax_scale
        self.valid_threshold = valid_threshold
        self.affinity = affinity
        self.refine = nn.ModuleList(
            nn.Conv2d(channels, (channels + len(dilations) - 1 - i) // len(dilations), 3, padding=d, dilation=d)
            for i, d in enumerate(dilations)
        )

    def forward(self, shallow: Tensor, deep: Tensor, mask: Tensor, sharpness: float | None = None) -> Tensor:
        """(B, D, 2h, 2w), (B, C, h, w), (B, 1, H, W) -> the filled shallow map (B, D, 2h, 2w)."""
        softmax_scale = self.softmax_scale if sharpness is None else sharpness
        # Attention in float32 whatever the autocast: its softmax is too steep for half precision.
        with torch.autocast(shallow.device.type, enabled=False):
            shallow, deep, mask = shallow.float(), deep.float(), mask.float()
            if self.mode == "released":
                filled = rebuild_everywhere(shallow, deep, mask, self.kernel_size, softmax_scale)
            else:
                filled = fill_holes(
                    shallow,
                    deep,
                    mask,
                    self.kernel_size,
                    softmax_scale,
                    self.valid_threshold,
                    self.affinity,
                )
        if not self.refine:
            return filled
        return torch.cat([F.relu(conv(filled)) for conv in self.refine], dim=1)


class MultiScaleDecoder(nn.Module):
    """Paints the picture from coarse to fine, with an RGB prediction at every scale: the pyramid. Section 3.3."""

    def __init__(self, channels: Sequence[int]):
        super().__init__()
        *skips, deepest = channels
        self.up_convs = nn.ModuleList()
        self.to_rgb = nn.ModuleList()
        c_in = deepest
        for c in reversed(skips):
            self.up_convs.append(nn.Conv2d(c_in, c, 3, padding=1))
            self.to_rgb.append(nn.Conv2d(2 * c, 3, 1))
            c_in = 2 * c
        self.merge = nn.Conv2d(c_in, channels[0], 3, padding=1)
        self.paint = nn.Conv2d(channels[0], 3, 3, padding=1)

    def forward(self, filled: Sequence[Tensor], deepest: Tensor) -> GeneratorOutput:
        """Filled maps of the scales L-1 ... 1 and the map of scale L -> picture and pyramid."""
        x, pyramid = deepest, []
        for skip, up_conv, to_rgb in zip(filled, self.up_convs, self.to_rgb, strict=True):
            x = F.relu(up_conv(double(x)))
            x = torch.cat([x, skip], dim=1)
            pyramid.append(torch.tanh(to_rgb(x)))
        image = torch.tanh(self.paint(F.relu(self.merge(double(x)))))
        return GeneratorOutput(image, tuple(pyramid))


class PENNet(nn.Module):
    """The generator.

    Args:
        num_levels: L, the scales of the encoder; 6 in the release. Sides must divide by 2**L.
        base_width: c, the channels of scale 1; 32 in the release.
        attention_mode: `paper` fills holes only; `released` repeats the authors' code.
        attention_levels: where to transfer attention: at all scales, the deepest only, or none (a plain U-Net).
        affinity: likeness of patches in `paper` mode.
        softmax_scale: inverse temperature of the attention.
        valid_threshold: share of a patch that may lie in the hole for it to be copied (`paper` mode).
        dilations: of the convolutions that refine a filled map.
    """

    def __init__(
        self,
        num_levels: int = 6,
        base_width: int = 32,
        attention_mode: AttentionMode = "paper",
        attention_levels: AttentionLevels = "all",
        affinity: Affinity = "cosine",
        softmax_scale: float = 10.0,
        valid_threshold: float = 0.1,
        dilations: Sequence[int] = (1, 2, 4, 8),
    ):
        super().__init__()
        channels = scale_channels(num_levels, base_width)
        self.num_levels = num_levels
        self.unit_px = 2**num_levels
        self.softmax_scale = softmax_scale
        self.has_attention = attention_levels != "none"
        self.encoder = PyramidContextEncoder(channels)
        self.transfers = nn.ModuleList()  # from scale L-1 to 1; None where a scale has no attention
        for scale in range(num_levels - 1, 0, -1):
            deepest = scale == num_levels - 1
            if attention_levels == "none" or (attention_levels == "deepest" and not deepest):
                self.transfers.append(None)  # type: ignore[arg-type]
                continue
            self.transfers.append(
                AttentionTransferNetwork(
                    channels[scale - 1],
                    kernel_size=1 if deepest else 3,
                    dilations=() if deepest else dilations,
                    mode=attention_mode,
                    softmax_scale=softmax_scale,
                    valid_threshold=valid_threshold,
                    affinity=affinity,
                )
            )
        self.decoder = MultiScaleDecoder(channels)

    @classmethod
    def from_config(cls, config: PENNetConfig) -> PENNet:
        """The generator that a configuration describes, with PyTorch's default weights."""
        return cls(
            num_levels=config.num_levels,
            base_width=config.base_width,
            attention_mode=config.attention_mode,
            attention_levels=config.attention_levels,
            affinity=config.affinity,
            softmax_scale=config.softmax_scale,
            valid_threshold=config.valid_threshold,
            dilations=config.dilations,
        )

    def forward(self, image: Tensor, mask: Tensor, sharpness: float | None = None) -> GeneratorOutput:
        """Predicts the whole picture from its known pixels.

        Args:
            image: (B, 3, H, W) in [-1, 1]; its hole pixels are overwritten with 1 and never seen.
            mask: (B, 1, H, W) in {0, 1}, 1 = hole. H and W must divide by 2**L.
            sharpness: softmax scale to use instead of its own; None for its own.

        Raises:
            ValueError: a side that does not divide by 2**L.
        """
        unit = self.unit_px
        if image.shape[-2] % unit or image.shape[-1] % unit:
            raise ValueError(
                f"image of {image.shape[-2]}x{image.shape[-1]} px: PEN-Net with {self.num_levels} levels needs sides that"
                f" divide by {unit}; pad the image (pennet.inference.inpaint does)"
            )
        *maps, deepest = self.encoder(torch.cat([fill_hole(image, mask, 1.0), mask], dim=1))
        filled, deep = [], deepest
        for shallow, transfer in zip(reversed(maps), self.transfers, strict=True):
            deep = shallow if transfer is None else transfer(shallow, deep, mask, sharpness)
            filled.append(deep)
        return self.decoder(filled, deepest)
