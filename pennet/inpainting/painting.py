"""One window painted: by a generator at the photo's size or smaller, or by a method that needs no training."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from pennet.compositing import composite, fill_hole
from pennet.high_resolution import carry_up
from pennet.inference import predict, predict_sources


def paint(
    generator: nn.Module, image: NDArray[Any], mask: NDArray[np.uint8], factor: int, carries: bool, sharpness: float | None
) -> NDArray[Any]:
    """A window's pixels as a generator paints them.

    Args:
        image: (H, W, 3) uint8 or uint16; what is in the hole is never seen.
        mask: (H, W) in {0, 1}.
        factor: how much smaller the generator sees it.
        carries: whether details are carried up from its known pixels, or what it painted is enlarged.
        sharpness: see `pennet.inference.predict`.

    Returns:
        (H, W, 3) of the type that came in.
    """
    device = next(generator.parameters()).device
    half = np.iinfo(image.dtype).max / 2
    picture = torch.from_numpy(image.astype(np.float32)).to(device).permute(2, 0, 1)[None].div(half).sub(1).contiguous()
    hole = torch.from_numpy(mask.astype(np.float32)).to(device)[None, None]
    with torch.inference_mode():
        if factor == 1:
            painted = predict(generator, picture, hole, sharpness)
        else:
            painted = _painted_small(generator, picture, hole, factor, carries, sharpness)
        levels = painted[0].float().add(1).mul(half).round().clamp(0, 2 * half)
    return levels.permute(1, 2, 0).cpu().numpy().astype(image.dtype)


def _painted_small(
    generator: nn.Module, picture: Tensor, hole: Tensor, factor: int, carries: bool, sharpness: float | None
) -> Tensor:
    height, width = picture.shape[-2:]
    picture, hole = padded(picture, hole, factor)
    small, small_hole = shrunk(picture, hole, factor)
    prediction = composite(small, predict(generator, small, small_hole, sharpness), small_hole)
    if carries:
        copies = getattr(generator, "copies_pixels", False)
        sources = predict_sources(generator, small, small_hole, sharpness)[0] if copies else None
        painted = carry_up(picture[0], hole[0], prediction[0], sources)[None]
    else:
        painted = F.interpolate(prediction, scale_factor=factor, mode="bicubic", align_corners=False).clamp(-1, 1)
    return painted[..., :height, :width]


def padded(picture: Tensor, hole: Tensor, factor: int) -> tuple[Tensor, Tensor]:
    """With sides that divide by a factor.

    Beyond the photo's edge nothing is known: a cell that the edge crosses is hole, as one that a hole crosses.
    """
    padding = (0, -picture.shape[-1] % factor, 0, -picture.shape[-2] % factor)
    return F.pad(picture, padding, mode="replicate"), F.pad(hole, padding, value=1.0)


def shrunk(picture: Tensor, hole: Tensor, factor: int) -> tuple[Tensor, Tensor]:
    """A picture averaged over cells of factor x factor pixels; a cell with any hole pixel is hole, and 0.

    (B, 3, H, W), (B, 1, H, W) -> (B, 3, H / factor, W / factor), (B, 1, H / factor, W / factor)
    """
    small, small_hole = F.avg_pool2d(fill_hole(picture, hole, 0.0), factor), F.max_pool2d(hole, factor)
    return fill_hole(small, small_hole, 0.0), small_hole


def paint_classically(method: str, image: NDArray[Any], mask: NDArray[np.uint8]) -> NDArray[Any]:
    """A window's pixels as a method without training paints them, in 256 levels: (H, W, 3) of the type that came in."""
    from pennet.classical import fill

    height, width = mask.shape
    for axis in (0, 1):
        if mask.shape[axis] == 1:  # OpenCV's Telea reads beyond a single line
            image, mask = np.repeat(image, 2, axis), np.repeat(mask, 2, axis)
    if image.dtype == np.uint8:
        return fill(method, image, mask)[:height, :width]
    step = np.iinfo(image.dtype).max // 255  # 257: the largest level becomes the largest
    painted = fill(method, np.round(image / step).astype(np.uint8), mask)[:height, :width]
    return painted.astype(image.dtype) * image.dtype.type(step)
