"""PEN-Net image inpainting: models, losses, training, metrics. A plain torch library."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from pathlib import Path

    from torch import nn

    from pennet.inpainter import Strategy

Image = TypeVar("Image")


def inpaint(
    image: Image,
    mask: Any,
    model: str | Path | nn.Module = "default",
    *,
    strategy: Strategy = "auto",
    sharpness: float | None = None,
    feather_px: int = 0,
    value_range: tuple[float, float] | None = None,
    device: str = "auto",
) -> Image:
    """Fills the hole of a picture of any size; what comes back is of the kind that came in.

    Args:
        image: a PIL image (L, LA, RGB or RGBA, whose alpha stays); a NumPy array, uint8 or uint16, (H, W, 3), (H, W, 4) or
            (H, W); or a torch tensor, uint8 or floats in [-1, 1], (3, H, W) or (B, 3, H, W).
        mask: of any of these kinds, (H, W), 1 (or 255, or True; in a PIL image what is brighter than half) = hole. For a
            batch also one for each picture, (B, H, W) or (B, 1, H, W).
        model: see `pennet.inpainter.Inpainter`; the models of the last calls stay loaded.
        strategy, sharpness, feather_px: see `pennet.inpainter.Inpainter.fill`.
        value_range: of a tensor of floats, (-1, 1) or (0, 1). Needed where its values do not tell: if none is negative.
        device: auto, cpu, cuda or cuda:N.

    Returns:
        The picture with its hole filled; known pixels are the ones that came in, bit for bit, but within `feather_px`.

    Raises:
        UserError: what cannot be filled, or not without guessing; one message with the remedy.
    """
    from pennet.inpainting.kinds import fill_like
    from pennet.inpainting.loaded import loaded

    inpainter = loaded(model, device)

    def fill(pixels: Any, hole: Any) -> Any:
        return inpainter.fill(pixels, hole, strategy, sharpness, feather_px).image

    return fill_like(image, mask, fill, value_range)
