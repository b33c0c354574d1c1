"""The generators with dense attention: the trained layers of `pennet.models`, put together for ONNX."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from pennet.compositing import composite, fill_hole
from pennet.errors import UserError
from pennet.models.attention import Holed
from pennet.models.pennet import AttentionTransferNetwork, PENNet
from pennet.models.pyramid import holed_pyramid
from pennet.models.seamless import with_border
from pennet.models.two_stage import TwoStageGenerator
from pennet.onnx import dense_attention
from pennet.onnx.dense_smooth import MAX_HALVINGS, smooth_fill, without_seam


def dense(generator: nn.Module) -> DensePENNet | DenseTwoStage:
    """The same generator with dense attention, sharing its weights.

    Raises:
        UserError: a generator of another kind.
    """
    if isinstance(generator, PENNet):
        return DensePENNet(generator)
    if isinstance(generator, TwoStageGenerator):
        return DenseTwoStage(generator)
    raise UserError(f"{type(generator).__name__}: has no ONNX form; PENNet, CAGenerator and GntIptGenerator have one")


class DensePENNet(nn.Module):
    """`PENNet` for ONNX.

    Attributes:
        attention_cell_px: side of a position of the largest map that is compared, in pixels; 0 without attention.
    """

    def __init__(self, generator: PENNet):
        super().__init__()
        self.generator = generator
        compared = [
            self._deep_scale(i)
            for i in range(len(generator.transfers))
            if self._transfer(i) is not None and self._deep_scale(i) >= generator.finest_attention
        ]
        self.attention_cell_px = 2 ** min(compared) if compared else 0

    def forward(self, image: Tensor, mask: Tensor, sharpness: Tensor | None = None) -> Tensor:
        """(B, 3, H, W) in [-1, 1], (B, 1, H, W) in {0, 1}, a number without dimensions -> (B, 3, H, W) in [-1, 1]."""
        generator = self.generator
        maps = generator.encoder(torch.cat([fill_hole(image, mask, 1.0), mask], dim=1))
        features = [Holed(*pair) for pair in zip(maps, generator.encoder.saw_hole(mask), strict=True)]
        pictures: list[Holed] = []
        if "picture" in generator.fills:
            smooth = smooth_fill(image, mask, *self._halvings(0))
            pictures = holed_pyramid(smooth, mask, len(features))
        if sharpness is None:
            sharpness = torch.tensor(generator.softmax_scale)
        for i in reversed(range(len(features) - 1)):
            transfer = self._transfer(i)
            if transfer is None:
                continue
            if self._deep_scale(i) >= generator.finest_attention:
                self._fill(transfer, i, features, pictures, mask, sharpness)
            features[i] = features[i]._replace(values=transfer(features[i].values))
        *skips, deepest = [scale.values for scale in features]
        if not pictures:
            return generator.decoder(skips[::-1], deepest).image
        wider = with_border(pictures[0])
        painted = wider._replace(values=generator.decoder(skips[::-1], deepest, wider).image)
        return without_seam(pictures[0], painted, *self._halvings(generator.shallowest)).values.clamp(-1, 1)

    def _fill(
        self,
        transfer: AttentionTransferNetwork,
        i: int,
        features: list[Holed],
        pictures: list[Holed],
        mask: Tensor,
        sharpness: Tensor,
    ) -> None:
        """Fills the maps of scale i, and of all shallower ones where attention is not computed again for them."""
        generator, deep_scale = self.generator, self._deep_scale(i)
        served = range(i + 1) if deep_scale == generator.finest_attention else range(i, i + 1)
        wanted, strides = [], []
        for scale in served:
            for name in generator.fills:
                wanted.append(with_border(pictures[scale]) if name == "picture" else features[scale])
                strides.append(2 ** (i + 1 - scale))
        compared = (pictures if generator.compares == "picture" else features)[i + 1]
        cell_px = 2**deep_scale
        if transfer.mode == "released":
            filled = [
                dense_attention.rebuild_everywhere(asked.values, compared.values, mask, transfer.kernel_size, sharpness)
                for asked in wanted
            ]
        else:
            filled = dense_attention.fill_holes(
                wanted,
                strides,
                compared,
                mask,
                cell_px,
                transfer.kernel_size,
                sharpness,
                transfer.valid_threshold,
                transfer.affinity,
                transfer.middle_weight,
            )
        copies = iter([asked._replace(values=values) for asked, values in zip(wanted, filled, strict=True)])
        for scale in served:
            for name in generator.fills:
                if name == "picture":
                    halvings = self._halvings(generator.shallowest + scale)
                    pictures[scale] = without_seam(pictures[scale], next(copies), *halvings)
                else:
                    features[scale] = next(copies)

    def _transfer(self, i: int) -> AttentionTransferNetwork | None:
        return cast("AttentionTransferNetwork | None", self.generator.transfers[-1 - i])

    def _deep_scale(self, i: int) -> int:
        return self.generator.shallowest + i + 1

    def _halvings(self, scale: int) -> tuple[int, int]:
        """Of a picture at that scale: sure ones, and those that depend on the size."""
        return self.generator.num_levels - scale, max(0, MAX_HALVINGS - self.generator.num_levels)


class DenseTwoStage(nn.Module):
    """`TwoStageGenerator` for ONNX. Attributes as of `DensePENNet`."""

    attention_cell_px = 8

    def __init__(self, generator: TwoStageGenerator):
        super().__init__()
        self.generator = generator

    def forward(self, image: Tensor, mask: Tensor, sharpness: Tensor) -> Tensor:
        """As of `DensePENNet`."""
        generator = self.generator
        known = fill_hole(image, mask, 0.0)
        planes = torch.cat([torch.ones_like(mask), mask], dim=1)
        coarse = generator.limit(generator.coarse(torch.cat([known, planes], dim=1)))
        guess = composite(known, coarse, mask)
        x = torch.cat([guess, planes], dim=1) if generator.sees_mask_twice else guess
        refine = generator.refine
        attended = dense_attention.contextual_attention(refine.before_attention(x), mask, 4, sharpness)
        branches = [refine.conv_branch(x), refine.after_attention(attended)]
        return generator.limit(refine.to_rgb(refine.decoder(torch.cat(branches, dim=1))))
