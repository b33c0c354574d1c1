"""The two-stage generators of CA (Yu et al., CVPR 2018) and GntIpt (Yu et al., ICCV 2019).

A coarse network paints a first guess; a second one refines it in two branches, one of convolutions, one of contextual
attention, and a joint decoder. The two methods differ in their layer (ELU convolution or gated convolution), in their input
of the second stage and in their output.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pennet.compositing import composite, fill_hole
from pennet.models.contextual_attention import contextual_attention
from pennet.models.output import GeneratorOutput

if TYPE_CHECKING:
    from pennet.config.ca import CAConfig
    from pennet.config.gntipt import GntIptConfig

Activation = Literal["elu", "relu"]
UNIT_PX = 8
"""Sides must divide by this: two halvings, and one more inside contextual attention."""


class ELUConv(nn.Module):
    """Convolution and ELU: CA's layer. `out_channels` of the convolution are its features."""

    def __init__(
        self, c_in: int, c_out: int, kernel: int = 3, stride: int = 1, dilation: int = 1, activation: Activation = "elu"
    ):
        super().__init__()
        self.conv = nn.Conv2d(c_in, c_out, kernel, stride, dilation * (kernel - 1) // 2, dilation)
        self.activate: Callable[[Tensor], Tensor] = F.relu if activation == "relu" else F.elu
        self.features = c_out

    def forward(self, x: Tensor) -> Tensor:
        return self.activate(self.conv(x))


class GatedConv(nn.Module):
    """Gated convolution, GntIpt's layer: half of the convolution's channels are features, half are their gates."""

    def __init__(
        self, c_in: int, c_out: int, kernel: int = 3, stride: int = 1, dilation: int = 1, activation: Activation = "elu"
    ):
        super().__init__()
        self.conv = nn.Conv2d(c_in, c_out, kernel, stride, dilation * (kernel - 1) // 2, dilation)
        self.activate: Callable[[Tensor], Tensor] = F.relu if activation == "relu" else F.elu
        self.features = c_out // 2

    def forward(self, x: Tensor) -> Tensor:
        features, gates = self.conv(x).chunk(2, dim=1)
        return self.activate(features) * torch.sigmoid(gates)


Layer = type[ELUConv] | type[GatedConv]


class Chain(nn.Sequential):
    """Layers one after the other; knows how many features come out."""

    def __init__(self, layer: Layer, c_in: int, *specs: dict[str, int | str]):
        layers: list[nn.Module] = []
        for spec in specs:
            spec = dict(spec)
            if spec.pop("up", 0):
                layers.append(nn.UpsamplingNearest2d(scale_factor=2))
            block = layer(c_in, **spec)  # type: ignore[arg-type]
            layers.append(block)
            c_in = block.features
        super().__init__(*layers)
        self.features = c_in


def _conv(channels: int, **more: int | str) -> dict[str, int | str]:
    return {"c_out": channels, **more}


def _dilated(channels: int) -> list[dict[str, int | str]]:
    return [_conv(channels, dilation=dilation) for dilation in (2, 4, 8, 16)]


class CoarseNetwork(nn.Module):
    """Stage 1: (B, 5, H, W) -> (B, 3, H, W), not yet limited to [-1, 1]."""

    def __init__(self, layer: Layer, c: int):
        super().__init__()
        self.body = Chain(
            layer,
            5,
            _conv(c, kernel=5),
            _conv(2 * c, stride=2),
            _conv(2 * c),
            _conv(4 * c, stride=2),
            *[_conv(4 * c)] * 2,
            *_dilated(4 * c),
            *[_conv(4 * c)] * 2,
            _conv(2 * c, up=1),
            _conv(2 * c),
            _conv(c, up=1),
            _conv(c // 2),
        )
        self.to_rgb = nn.Conv2d(self.body.features, 3, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.to_rgb(self.body(x))


class RefinementNetwork(nn.Module):
    """Stage 2: (B, c_in, H, W) and the mask -> (B, 3, H, W), not yet limited to [-1, 1]."""

    def __init__(self, layer: Layer, c_in: int, c: int, softmax_scale: float):
        super().__init__()
        self.softmax_scale = softmax_scale
        self.conv_branch = Chain(
            layer,
            c_in,
            _conv(c, kernel=5),
            _conv(c, stride=2),
            _conv(2 * c),
            _conv(2 * c, stride=2),
            *[_conv(4 * c)] * 2,
            *_dilated(4 * c),
        )
        self.before_attention = Chain(
            layer,
            c_in,
            _conv(c, kernel=5),
            _conv(c, stride=2),
            _conv(2 * c),
            _conv(4 * c, stride=2),
            _conv(4 * c),
            _conv(4 * c, activation="relu"),
        )
        self.after_attention = Chain(layer, self.before_attention.features, *[_conv(4 * c)] * 2)
        self.decoder = Chain(
            layer,
            self.conv_branch.features + self.after_attention.features,
            *[_conv(4 * c)] * 2,
            _conv(2 * c, up=1),
            _conv(2 * c),
            _conv(c, up=1),
            _conv(c // 2),
        )
        self.to_rgb = nn.Conv2d(self.decoder.features, 3, 3, padding=1)

    def forward(self, x: Tensor, mask: Tensor, sharpness: float | None = None) -> Tensor:
        softmax_scale = self.softmax_scale if sharpness is None else sharpness
        attended = self.before_attention(x)
        with torch.autocast(attended.device.type, enabled=False):  # the softmax is too steep for half precision
            attended = contextual_attention(attended.float(), mask.float(), softmax_scale)
        branches = [self.conv_branch(x), self.after_attention(attended)]
        return self.to_rgb(self.decoder(torch.cat(branches, dim=1)))


class TwoStageGenerator(nn.Module):
    """What CA and GntIpt share; see `CAGenerator` and `GntIptGenerator`.

    Args:
        layer: the kind of convolution.
        base_width: c, channels of the first convolution.
        softmax_scale: inverse temperature of contextual attention.
        limit: brings a prediction into [-1, 1].
        sees_mask_twice: whether the second stage, too, has the plane of ones and the mask in its input.
    """

    has_attention = True

    def __init__(
        self,
        layer: Layer,
        base_width: int,
        softmax_scale: float,
        limit: Callable[[Tensor], Tensor],
        sees_mask_twice: bool,
    ):
        super().__init__()
        self.unit_px = UNIT_PX
        self.softmax_scale = softmax_scale
        self.limit = limit
        self.sees_mask_twice = sees_mask_twice
        self.coarse = CoarseNetwork(layer, base_width)
        self.refine = RefinementNetwork(layer, 5 if sees_mask_twice else 3, base_width, softmax_scale)

    def forward(self, image: Tensor, mask: Tensor, sharpness: float | None = None) -> GeneratorOutput:
        """Predicts the whole picture from its known pixels; the coarse guess is the output's one-picture pyramid.

        Args:
            image: (B, 3, H, W) in [-1, 1]; its hole pixels are overwritten with 0 and never seen.
            mask: (B, 1, H, W) in {0, 1}, 1 = hole. H and W must divide by 8.
            sharpness: softmax scale to use instead of its own; None for its own.

        Raises:
            ValueError: a side that does not divide by 8.
        """
        height, width = image.shape[-2:]
        if height % UNIT_PX or width % UNIT_PX:
            raise ValueError(
                f"image of {height}x{width} px: the two-stage generators need sides that divide by {UNIT_PX}; pad the image"
                " (pennet.inference.inpaint does)"
            )
        known = fill_hole(image, mask, 0.0)
        planes = torch.cat([torch.ones_like(mask), mask], dim=1)
        coarse = self.limit(self.coarse(torch.cat([known, planes], dim=1)))
        guess = composite(known, coarse, mask)
        x = torch.cat([guess, planes], dim=1) if self.sees_mask_twice else guess
        return GeneratorOutput(self.limit(self.refine(x, mask, sharpness)), (coarse,))


class CAGenerator(TwoStageGenerator):
    """Generative Image Inpainting with Contextual Attention. Source: Yu et al. 2018, sections 3 and 4.

    Args:
        base_width: 32 in the paper.
        softmax_scale: 10 in the paper.
    """

    def __init__(self, base_width: int = 32, softmax_scale: float = 10.0):
        super().__init__(ELUConv, base_width, softmax_scale, _clip, sees_mask_twice=True)

    @classmethod
    def from_config(cls, config: CAConfig) -> CAGenerator:
        """The generator that a configuration describes, with PyTorch's default weights."""
        return cls(config.base_width, config.softmax_scale)


class GntIptGenerator(TwoStageGenerator):
    """Free-Form Image Inpainting with Gated Convolution. Source: Yu et al. 2019, section 3.

    Args:
        base_width: 48 in the paper, half of which are features.
        softmax_scale: 10 in the paper.
    """

    def __init__(self, base_width: int = 48, softmax_scale: float = 10.0):
        super().__init__(GatedConv, base_width, softmax_scale, torch.tanh, sees_mask_twice=False)

    @classmethod
    def from_config(cls, config: GntIptConfig) -> GntIptGenerator:
        """The generator that a configuration describes, with PyTorch's default weights."""
        return cls(config.base_width, config.softmax_scale)


def _clip(x: Tensor) -> Tensor:
    return x.clamp(-1, 1)
