"""PEN-Net's generator: Pyramid-context ENcoder Network (Zeng et al., CVPR 2019, section 3), top to bottom.

Scales count from the picture's own resolution, 0, over half its side, 1, to L, the deepest. The encoder makes a map of each;
attention transfer fills their holes from the deepest to the shallowest; the multi-scale decoder paints a picture from the
filled maps.

The paper fills "at the image level and the feature level". Its PyTorch release has no map at scale 0; the authors'
TensorFlow original has one (`full_resolution`). That the picture itself is filled along with the features at every scale,
and that the decoder adds to the copy (`fills: [features, picture]`), is ours.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pennet.compositing import fill_hole
from pennet.models.attention import Affinity, Holed, Revise, fill_holes
from pennet.models.output import GeneratorOutput
from pennet.models.pyramid import holed_pyramid
from pennet.models.released_attention import rebuild_everywhere
from pennet.models.seamless import with_border, without_seam
from pennet.models.smooth import smooth_fill
from pennet.models.sources import copied_from
from pennet.models.upsampling import double

if TYPE_CHECKING:
    from pennet.config.pennet import PENNetConfig

AttentionMode = Literal["paper", "released"]
AttentionLevels = Literal["all", "deepest", "none"]
Filled = Literal["features", "picture"]


def scale_channels(num_levels: int, base_width: int, full_resolution: bool) -> list[int]:
    """Channels of the encoder's maps from the shallowest scale to L: (c/2,) c, 2c, 4c, 8c, 16c, 16c, ..."""
    channels = [base_width * 2 ** min(scale, 4) for scale in range(num_levels)]
    return [base_width // 2, *channels] if full_resolution else channels


class PyramidContextEncoder(nn.Module):
    """L strided convolutions, each halving the map, after one that keeps it (scale 0) if there is such a scale.

    (B, 4, H, W) -> (x_0,) x_1 ... x_L. Source: section 3.1; the one of stride 1 is the TensorFlow original's.
    """

    def __init__(self, channels: Sequence[int], full_resolution: bool):
        super().__init__()
        self.strides = [1 if full_resolution else 2] + [2] * (len(channels) - 1)
        self.convs = nn.ModuleList(
            nn.Conv2d(c_in, c_out, 3, stride, padding=1)
            for c_in, c_out, stride in zip([4, *channels[:-1]], channels, self.strides, strict=True)
        )

    def forward(self, x: Tensor) -> list[Tensor]:
        maps = []
        for depth, conv in enumerate(self.convs, start=1):
            x = conv(x)
            x = F.relu(x) if depth == len(self.convs) else F.leaky_relu(x, 0.2)
            maps.append(x)
        return maps

    def saw_hole(self, mask: Tensor) -> list[Tensor]:
        """Which positions of each map looked at a hole pixel: (B, 1, H, W) -> (B, 1, h, w), bool, for each scale.

        More than those that lie in the hole: a neighbour that looked into it does not know what stands there either, and
        keeping its features paints a line along the hole's border.
        """
        saw = []
        for stride in self.strides:
            mask = F.max_pool2d(mask, 3, stride, padding=1)
            saw.append(mask > 0)
        return saw


class AttentionTransferNetwork(nn.Module):
    """Carries the attention learned on a deeper, filled map to the next shallower one, and fills its hole. Section 3.2.

    Four (by default) parallel dilated convolutions refine what was filled; at the deepest transfer there are none.

    Args:
        channels: channels of the shallow map.
        kernel_size: side of the compared patches.
        dilations: dilation of the parallel refining convolutions; empty for none. They share the channels, the first ones
            with one more where the shares are not even.
        mode: `paper` or `released`, see `pennet.models.attention`.
        softmax_scale, valid_threshold, affinity, middle_weight: see `fill_holes`.

    Attributes:
        revise: see `fill_holes`, in `paper` mode; None, but while a video is filled.
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
        middle_weight: float,
    ):
        super().__init__()
        self.kernel_size = kernel_size
        self.mode = mode
        self.softmax_scale = softmax_scale
        self.valid_threshold = valid_threshold
        self.affinity = affinity
        self.middle_weight = middle_weight
        self.revise: Revise | None = None
        self.refine = nn.ModuleList(
            nn.Conv2d(channels, (channels + len(dilations) - 1 - i) // len(dilations), 3, padding=d, dilation=d)
            for i, d in enumerate(dilations)
        )

    def fill(self, maps: Sequence[Holed], compared: Holed, mask: Tensor, sharpness: float | None = None) -> list[Tensor]:
        """Fills maps of shallower scales by the likeness of the patches of one map; arguments as for `fill_holes`."""
        softmax_scale = self.softmax_scale if sharpness is None else sharpness
        # Attention in float32 whatever the autocast: its softmax is too steep for half precision.
        with torch.autocast(mask.device.type, enabled=False):
            mask, deep = mask.float(), compared.values.float()
            maps = [Holed(values.float(), hole) for values, hole in maps]
            if self.mode == "released":
                return [rebuild_everywhere(values, deep, mask, self.kernel_size, softmax_scale) for values, _ in maps]
            compared = Holed(deep, compared.hole)
            return fill_holes(
                maps,
                compared,
                mask,
                self.kernel_size,
                softmax_scale,
                self.valid_threshold,
                self.affinity,
                self.middle_weight,
                self.revise,
            )

    def forward(self, filled: Tensor) -> Tensor:
        """Refines a filled map: (B, D, h, w) -> the same."""
        if not self.refine:
            return filled
        return torch.cat([F.relu(conv(filled)) for conv in self.refine], dim=1)


class MultiScaleDecoder(nn.Module):
    """Paints the picture from coarse to fine, with an RGB prediction at every scale: the pyramid. Section 3.3.

    With a map at scale 0 its last doubling is a scale like the others, and the picture is that scale's prediction. With a
    copied picture, what it paints is added to the copy, in the copy's hole alone.
    """

    def __init__(self, channels: Sequence[int], full_resolution: bool, copies_picture: bool):
        super().__init__()
        *skips, deepest = channels
        self.full_resolution = full_resolution
        self.up_convs = nn.ModuleList()
        self.to_rgb = nn.ModuleList()
        c_in = deepest
        for depth, c in enumerate(reversed(skips), start=1):
            self.up_convs.append(nn.Conv2d(c_in, c, 3, padding=1))
            c_in = 2 * c
            if not (full_resolution and depth == len(skips)):
                self.to_rgb.append(nn.Conv2d(c_in, 3, 1))
        self.merge = nn.Conv2d(c_in + 3 * copies_picture, channels[0], 3, padding=1)
        self.paint = nn.Conv2d(channels[0], 3, 3, padding=1)

    def forward(self, filled: Sequence[Tensor], deepest: Tensor, copy: Holed | None = None) -> GeneratorOutput:
        """Filled maps from scale L-1 to the shallowest, the map of scale L, the copied picture -> picture and pyramid."""
        x, pyramid = deepest, []
        for depth, (skip, up_conv) in enumerate(zip(filled, self.up_convs, strict=True)):
            x = F.relu(up_conv(double(x)))
            x = torch.cat([x, skip], dim=1)
            if depth < len(self.to_rgb):
                pyramid.append(torch.tanh(self.to_rgb[depth](x)))
        if not self.full_resolution:
            x = double(x)
        if copy is None:
            return GeneratorOutput(torch.tanh(self.paint(F.relu(self.merge(x)))), tuple(pyramid))
        added = self.paint(F.relu(self.merge(torch.cat([x, copy.values], dim=1))))
        return GeneratorOutput(copy.values + copy.hole * added, tuple(pyramid))


class PENNet(nn.Module):
    """The generator.

    Args: the fields of `pennet.config.pennet.PENNetConfig` of the same names, which says what each one means. By default the
        released architecture in `paper` mode: L = 6 scales, c = 32 channels at scale 1, features filled, compared by cosine
        in patches of 1 at the deepest transfer and of 3 at all others.
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
        full_resolution: bool = False,
        fills: Sequence[Filled] = ("features",),
        patch_sizes: Sequence[int] = (1, 3),
        finest_attention: int = 1,
        middle_weight: float = 1.0,
    ):
        super().__init__()
        channels = scale_channels(num_levels, base_width, full_resolution)
        self.num_levels = num_levels
        self.unit_px = 2**num_levels
        self.softmax_scale = softmax_scale
        self.has_attention = attention_levels != "none"
        self.fills = tuple(fills)
        self.compares: Filled = "picture" if affinity == "picture" else "features"
        self.shallowest = 0 if full_resolution else 1
        self.finest_attention = max(finest_attention, self.shallowest + 1)
        self.encoder = PyramidContextEncoder(channels, full_resolution)
        self.transfers = nn.ModuleList()  # from scale L-1 to the shallowest; None where a scale has no attention
        for depth, c in enumerate(reversed(channels[:-1])):
            if attention_levels == "none" or (attention_levels == "deepest" and depth):
                self.transfers.append(None)  # type: ignore[arg-type]
                continue
            self.transfers.append(
                AttentionTransferNetwork(
                    c,
                    kernel_size=patch_sizes[min(depth, 1)],
                    dilations=dilations if depth else (),
                    mode=attention_mode,
                    softmax_scale=softmax_scale,
                    valid_threshold=valid_threshold,
                    affinity=affinity,
                    middle_weight=middle_weight,
                )
            )
        self.decoder = MultiScaleDecoder(channels, full_resolution, "picture" in fills)

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
            full_resolution=config.full_resolution,
            fills=config.fills,
            patch_sizes=config.patch_sizes,
            finest_attention=config.finest_attention,
            middle_weight=config.middle_weight,
        )

    def start_from_copy(self) -> None:
        """Zeroes what the decoder adds to a copied picture: an untrained generator then shows its copy."""
        if "picture" in self.fills:
            for parameter in self.decoder.paint.parameters():
                nn.init.zeros_(parameter)

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
        pyramid = self._filled_pyramid(image, mask, sharpness)
        *skips, deepest = [scale["features"].values for scale in pyramid]
        copy = pyramid[0].get("picture")
        if copy is None:
            return self.decoder(skips[::-1], deepest)
        if self.training:  # learned with what follows, the decoder adds more and greys what was copied (decision 20)
            output = self.decoder(skips[::-1], deepest, copy)
            return output._replace(image=output.image.clamp(-1, 1))
        # On the line around the hole there is nothing to add: what is added there all the same is taken off, as of a copy.
        wider = with_border(copy)
        output = self.decoder(skips[::-1], deepest, wider)
        painted = without_seam(copy, wider._replace(values=output.image))
        return output._replace(image=painted.values.clamp(-1, 1))

    @property
    def copies_pixels(self) -> bool:
        """Whether holes are filled with copies of known pixels, whose places `sources` can say."""
        return "picture" in self.fills and self.transfers[-self.finest_attention] is not None

    def sources(self, image: Tensor, mask: Tensor, sharpness: float | None = None) -> Tensor:
        """Where the copied picture comes from: for every pixel the place it was copied from, its own if it is known.

        A copied pixel is the mean of the patches that overlap there, up to four, and each of these of all that had a share.
        Named is one place: of the patch in whose middle the pixel lies, and there of the one most alike. Where several are
        equally alike, as in a flat picture, or there is nothing to copy, a hole pixel names itself.

        Args:
            image, mask, sharpness: as for `forward`.

        Returns:
            (B, 2, H, W): line and column, in pixels.

        Raises:
            ValueError: the generator copies no pixels.
        """
        if not self.copies_pixels:
            raise ValueError("this PEN-Net copies no pixels: it needs picture in its fills, and attention that reaches it")
        compared = self._filled_pyramid(image, mask, sharpness)[self.finest_attention][self.compares]
        transfer: AttentionTransferNetwork = self.transfers[-self.finest_attention]  # type: ignore[assignment]
        return copied_from(transfer.fill, compared, mask, 2**self.finest_attention)

    def _filled_pyramid(self, image: Tensor, mask: Tensor, sharpness: float | None) -> list[dict[Filled, Holed]]:
        """The maps of every scale, from the shallowest to the deepest, after attention transfer."""
        maps = self.encoder(torch.cat([fill_hole(image, mask, 1.0), mask], dim=1))
        saw_hole = self.encoder.saw_hole(mask)
        pyramid: list[dict[Filled, Holed]] = [{"features": Holed(*pair)} for pair in zip(maps, saw_hole, strict=True)]
        if "picture" in self.fills:
            for scale, holed in zip(pyramid, holed_pyramid(smooth_fill(image, mask), mask, len(pyramid)), strict=True):
                scale["picture"] = holed

        for i in reversed(range(len(pyramid) - 1)):
            transfer: AttentionTransferNetwork | None = self.transfers[-1 - i]  # type: ignore[assignment]
            if transfer is None:
                continue
            deep_scale = self.shallowest + i + 1
            if deep_scale >= self.finest_attention:
                served = pyramid[: i + 1] if deep_scale == self.finest_attention else pyramid[i : i + 1]
                places = [(scale, name) for scale in served for name in self.fills]
                wanted = [with_border(scale[name]) if name == "picture" else scale[name] for scale, name in places]
                filled = transfer.fill(wanted, pyramid[i + 1][self.compares], mask, sharpness)
                for (scale, name), asked, values in zip(places, wanted, filled, strict=True):
                    copied = asked._replace(values=values)
                    scale[name] = without_seam(scale[name], copied) if name == "picture" else copied
            features = pyramid[i]["features"]
            pyramid[i]["features"] = features._replace(values=transfer(features.values))
        return pyramid
