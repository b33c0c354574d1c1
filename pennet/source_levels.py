"""Where a hole is copied from at every scale of PEN-Net's pyramid: the deepest decides first, each finer one anew.

`pennet.inference.find_sources` names the place that a pixel of the result was copied from, which the finest attention
decided. This is the way there: which known cell each scale's attention takes most from, from the coarsest cells to the
finest.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from pennet.errors import UserError
from pennet.images import Picture, to_float
from pennet.models.pennet import AttentionTransferNetwork, PENNet
from pennet.models.sources import copied_from


class Level(NamedTuple):
    """What the attention of one scale takes from where."""

    scale: int
    cell_px: int
    """Side of a cell whose likeness is decided here, in pixels: 2**scale."""
    sources: NDArray[np.int32]
    """(2, H, W): line and column, in pixels, of the place that each pixel's cell takes most from; of a known pixel its own,
    and of a hole's where several cells are equally alike or none is known."""


def check_has_levels(generator: object) -> None:
    """Raises a UserError unless `source_levels` can say where the generator's attention looks."""
    if not isinstance(generator, PENNet) or not generator.has_attention:
        raise UserError("source levels: this model has no attention over a pyramid; a PEN-Net has")
    if any(transfer is not None and transfer.mode == "released" for transfer in generator.transfers):
        raise UserError(
            "source levels: this PEN-Net mixes all places as the authors' release does, and takes from no single one;"
            " one with attention_mode: paper does"
        )


def source_levels(generator: torch.nn.Module, image: Picture, mask: NDArray[np.uint8]) -> list[Level]:
    """The places that a hole is filled from, scale by scale, from the deepest to the finest that has attention.

    Args:
        generator: a PEN-Net in `paper` mode, with attention.
        image: (H, W, 3) uint8 RGB, of any size; what is in the hole is never seen.
        mask: (H, W), 1 (or 255) = hole.

    Raises:
        UserError: the generator has no such attention.
    """
    check_has_levels(generator)
    assert isinstance(generator, PENNet)
    height, width = mask.shape
    device = next(generator.parameters()).device
    beyond = (0, -width % generator.unit_px, 0, -height % generator.unit_px)  # as in pennet.inference.predict
    hole = torch.from_numpy((mask > 0).astype(np.float32))[None, None].to(device)
    picture = F.pad(to_float(image[None]).to(device), beyond, mode="replicate")
    hole = F.pad(hole, beyond, value=1.0)
    last = torch.tensor([height - 1, width - 1], device=device)[:, None, None]
    levels = []
    with torch.inference_mode():
        pyramid = generator._filled_pyramid(picture, hole, None)
        for position, transfer in enumerate(generator.transfers):
            scale = generator.num_levels - position
            if transfer is None or scale < generator.finest_attention:
                continue
            assert isinstance(transfer, AttentionTransferNetwork)
            compared = pyramid[scale - generator.shallowest][generator.compares]
            places = copied_from(transfer.fill, compared, hole, 2**scale)[0, :, :height, :width]
            places = places.round().clamp_min(0).minimum(last)
            levels.append(Level(scale, 2**scale, places.to(torch.int32).cpu().numpy()))
    return levels
