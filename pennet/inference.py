"""Fills the holes of pictures of any size with a trained generator, and says where copied pixels come from."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from pennet.compositing import composite
from pennet.errors import UserError
from pennet.images import to_float, to_uint8
from pennet.sharpness import check_sharpness


def predict(generator: nn.Module, image: Tensor, mask: Tensor, sharpness: float | None = None) -> Tensor:
    """The generator's prediction for pictures of any size.

    Sides that do not divide by the generator's unit are padded by repeating the last line and column; the padding counts
    as hole and is cut off again. What attention may copy is decided by cells of pixels: a cell that lies in the padding
    is never copied, one that the picture's edge crosses may be (see docs/deviations.md).

    Args:
        generator: takes (image, mask), with attention also a sharpness, and returns an output with `.image`.
        image: (B, 3, H, W) in [-1, 1]; what is in the hole is never seen.
        mask: (B, 1, H, W) in {0, 1}, 1 = hole.
        sharpness: softmax scale of the attention instead of the generator's own, in [1, 1e6]; None for its own.

    Returns:
        (B, 3, H, W) in [-1, 1].

    Raises:
        UserError: a sharpness that is none, or for a generator without attention.
    """
    chosen = () if sharpness is None else (_checked_for(generator, sharpness),)
    height, width = image.shape[-2:]
    with torch.inference_mode():
        output = generator(*_padded(generator, image, mask), *chosen)
    return output.image[..., :height, :width]


def predict_sources(generator: nn.Module, image: Tensor, mask: Tensor, sharpness: float | None = None) -> Tensor:
    """Where each pixel of a prediction was copied from, for pictures of any size.

    Args:
        generator, image, mask, sharpness: as for `predict`.

    Returns:
        (B, 2, H, W), int32: line and column, in pixels, as `PENNet.sources` names it; of a known pixel its own.

    Raises:
        UserError: the generator copies no pixels, or a sharpness that is none.
    """
    check_copies_pixels(generator)
    chosen = () if sharpness is None else (_checked_for(generator, sharpness),)
    height, width = image.shape[-2:]
    with torch.inference_mode():
        places = generator.sources(*_padded(generator, image, mask), *chosen)  # type: ignore[operator]
    last = places.new_tensor([height - 1, width - 1])[:, None, None]  # a cell that the picture's edge crosses may be copied
    return places[..., :height, :width].round().clamp_min(0).minimum(last).to(torch.int32)


def check_copies_pixels(generator: nn.Module) -> None:
    """Raises a UserError unless `predict_sources` can say where the generator's pixels come from."""
    if not getattr(generator, "copies_pixels", False):
        raise UserError(
            "sources: this model copies no pixels; a PEN-Net with picture in its fills does, leave it out for others"
        )


def inpaint(
    generator: nn.Module, image: NDArray[np.uint8], mask: NDArray[np.uint8], sharpness: float | None = None
) -> NDArray[np.uint8]:
    """Fills the hole of one picture; its known pixels come back bit for bit.

    Args:
        generator: from `pennet.generator_files.load_generator`.
        image: (H, W, 3) uint8 RGB.
        mask: (H, W), 1 (or 255) = hole, 0 = known.
        sharpness: see `predict`.

    Returns:
        (H, W, 3) uint8: the composite.

    Raises:
        UserError: shapes or types that do not fit, a mask of other values, one without any known pixel, or a sharpness that
            `predict` refuses.
    """
    picture, hole = _checked(generator, image, mask)
    prediction = predict(generator, picture, hole, sharpness)
    filled = to_uint8(composite(picture, prediction, hole))[0]
    return np.where(mask[..., None] > 0, filled, image)


def find_sources(
    generator: nn.Module, image: NDArray[np.uint8], mask: NDArray[np.uint8], sharpness: float | None = None
) -> NDArray[np.int32]:
    """Where `inpaint` copies the pixels of a hole from.

    Args:
        generator, image, mask, sharpness: as for `inpaint`.

    Returns:
        (2, H, W), as `predict_sources` says.

    Raises:
        UserError: as `inpaint`, or the generator copies no pixels.
    """
    return predict_sources(generator, *_checked(generator, image, mask), sharpness)[0].cpu().numpy()


def _checked(generator: nn.Module, image: NDArray[np.uint8], mask: NDArray[np.uint8]) -> tuple[Tensor, Tensor]:
    """One picture and its mask as batches on the generator's device: (1, 3, H, W) in [-1, 1], (1, 1, H, W) in {0, 1}."""
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
        raise UserError(f"image: expected uint8 (H, W, 3), got {image.dtype} {image.shape}")
    if mask.shape != image.shape[:2]:
        raise UserError(f"mask: expected shape {image.shape[:2]} like the image, got {mask.shape}")
    values = set(np.unique(mask).tolist())
    if not (values <= {0, 1} or values <= {0, 255}):
        raise UserError(f"mask: expected 0 and 1 (or 0 and 255), 1 = hole, got {sorted(values)[:5]}")
    hole = mask > 0
    if hole.all():
        raise UserError("mask: no pixel is known, there is nothing to inpaint from")
    device = next(generator.parameters()).device
    return to_float(image[None]).to(device), torch.from_numpy(hole[None, None].astype(np.float32)).to(device)


def _padded(generator: nn.Module, image: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """With sides that divide by the generator's unit."""
    height, width = image.shape[-2:]
    unit = int(generator.unit_px)  # type: ignore[arg-type]
    padding = (0, -width % unit, 0, -height % unit)
    return F.pad(image, padding, mode="replicate"), F.pad(mask, padding, value=1.0)


def _checked_for(generator: nn.Module, sharpness: float) -> float:
    if not getattr(generator, "has_attention", False):
        raise UserError(f"sharpness: got {sharpness!r}, and this generator has no attention to sharpen; leave it out")
    return check_sharpness(sharpness, generator.softmax_scale)  # type: ignore[arg-type]
