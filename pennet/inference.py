"""Inpaints a picture of any size with trained weights."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from pennet.atomic import replacing, write_json
from pennet.compositing import composite
from pennet.config import MethodConfig, recipe_from_mapping
from pennet.data.images import to_float, to_uint8
from pennet.errors import UserError
from pennet.methods import build_generator

WEIGHTS_FILE = "generator.safetensors"
CONFIG_FILE = "config.json"


def save_generator(generator: nn.Module, config: MethodConfig, folder: Path) -> None:
    """Writes `generator.safetensors` and `config.json`: all that `load_generator` needs.

    Raises:
        OSError: the disk is full or not writable; what was there before is untouched.
    """
    weights = {name: value.detach().cpu().contiguous() for name, value in generator.state_dict().items()}
    try:
        with replacing(folder / WEIGHTS_FILE) as temporary:
            save_file(weights, temporary)
    except SafetensorError as error:  # how the library reports a full disk
        raise OSError(f"cannot save weights {folder / WEIGHTS_FILE}: {error}; free some disk space and run again") from error
    write_json(folder / CONFIG_FILE, asdict(config))


def load_generator(folder: Path | str) -> nn.Module:
    """Builds the generator saved in a folder, in eval mode on the CPU.

    Raises:
        UserError: a file is missing, unreadable, or the weights do not fit the configuration.
    """
    folder = Path(folder)
    try:
        saved = json.loads((folder / CONFIG_FILE).read_text())
        weights = load_file(folder / WEIGHTS_FILE)
    except FileNotFoundError as error:
        raise UserError(f"{folder} holds no trained generator: {error.filename} is missing; train one first") from error
    except (json.JSONDecodeError, SafetensorError) as error:
        raise UserError(f"{folder} holds no readable generator: {error}") from error
    generator = build_generator(recipe_from_mapping(saved, str(folder / CONFIG_FILE)))
    try:
        generator.load_state_dict(weights)
    except RuntimeError as error:
        raise UserError(f"{folder / WEIGHTS_FILE} does not fit {CONFIG_FILE} beside it: {error}") from error
    return generator.eval()


def predict(generator: nn.Module, image: Tensor, mask: Tensor) -> Tensor:
    """The generator's prediction for pictures of any size.

    Sides that do not divide by the generator's unit are padded by repeating the last line and column; the padding counts
    as hole and is cut off again. What attention may copy is decided by cells of pixels: a cell that lies in the padding
    is never copied, one that the picture's edge crosses may be (see docs/deviations.md).

    Args:
        generator: takes (image, mask) and returns an output with `.image`.
        image: (B, 3, H, W) in [-1, 1]; what is in the hole is never seen.
        mask: (B, 1, H, W) in {0, 1}, 1 = hole.

    Returns:
        (B, 3, H, W) in [-1, 1].
    """
    height, width = image.shape[-2:]
    unit = int(generator.unit_px)  # type: ignore[arg-type]
    padding = (0, -width % unit, 0, -height % unit)
    image, mask = F.pad(image, padding, mode="replicate"), F.pad(mask, padding, value=1.0)
    with torch.inference_mode():
        output = generator(image, mask)
    return output.image[..., :height, :width]


def inpaint(generator: nn.Module, image: NDArray[np.uint8], mask: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Fills the hole of one picture; its known pixels come back bit for bit.

    Args:
        generator: from `load_generator`.
        image: (H, W, 3) uint8 RGB.
        mask: (H, W), 1 (or 255) = hole, 0 = known.

    Returns:
        (H, W, 3) uint8: the composite.

    Raises:
        UserError: shapes or types that do not fit, a mask of other values, or one without any known pixel.
    """
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
    picture = to_float(image[None]).to(device)
    mask_tensor = torch.from_numpy(hole[None, None].astype(np.float32)).to(device)
    prediction = predict(generator, picture, mask_tensor)
    filled = to_uint8(composite(picture, prediction, mask_tensor))[0]
    return np.where(hole[..., None], filled, image)
