"""Pictures and masks as a notebook has them, PIL, NumPy or torch: to the arrays that holes are filled in, and back.

Nothing is guessed: what could be read in two ways is refused with a message that says how to say it.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pennet.errors import UserError
from pennet.photos.holes import GREY_LEVELS, MOST_GREY
from pennet.photos.photo import grey_of

if TYPE_CHECKING:
    from torch import Tensor

Array = NDArray[Any]
Fill = Callable[[Array, NDArray[np.uint8]], Array]
"""((H, W, 3) uint8 or uint16, (H, W) in {0, 1}) -> (H, W, 3) of the same type."""
ValueRange = tuple[float, float]

_OF_TENSORS = "uint8, or floats in [-1, 1] or, with value_range=(0, 1), in [0, 1]; of shape (3, H, W) or (B, 3, H, W)"
_BY_ALPHA = "mask.getchannel('A') where the hole was drawn on a transparent layer, mask.convert('L') where it is white"
_MASKS_OF_MODE = {
    **dict.fromkeys(("RGBA", "LA", "PA", "RGBa", "La"), _BY_ALPHA),
    **dict.fromkeys(("I", "F", "I;16", "I;16B", "I;16L"), "numpy.asarray(mask) > THRESHOLD makes booleans"),
}
_IMAGES_OF_MODE = {
    **dict.fromkeys(("I;16", "I;16B", "I;16L"), "numpy.asarray(image) keeps its 16 bits"),
    **dict.fromkeys(("I", "F"), "make uint8 or uint16 of numpy.asarray(image)"),
    **dict.fromkeys(("PA", "RGBa"), "image.convert('RGBA')"),
}
"""Where convert('RGB') would cut levels off, or lose transparency."""
_OF_ARRAYS = "uint8 or uint16 of shape (H, W, 3) RGB, (H, W, 4) RGBA or (H, W) grey"


def fill_like(image: Any, mask: Any, fill: Fill, value_range: ValueRange | None = None) -> Any:
    """Fills the hole of a picture of any kind, and gives the same kind back.

    Args:
        image, mask, value_range: see `pennet.inpaint`.
        fill: of arrays.

    Raises:
        UserError: a kind, a type or a shape that is not taken.
    """
    kind = _library(image)
    if value_range is not None and kind != "torch":
        raise UserError(f"value_range: says what the floats of a torch tensor mean; leave it out for {_name(image)}")
    if kind == "torch":
        _check_dense(image, "image")
        return _fill_tensor(image, mask, fill, value_range)
    if kind == "PIL":
        return _fill_pil(image, _single(mask_array(mask)), fill)
    if isinstance(image, np.ndarray):
        return _fill_array(image, _single(mask_array(mask)), fill)
    raise UserError(f"image: expected a PIL image, a NumPy array or a torch tensor, got {_name(image)}{_opened(image)}")


def mask_array(mask: Any) -> NDArray[np.uint8]:
    """A mask of any kind as (..., H, W) in {0, 1}, 1 = hole.

    PIL masks are thresholded at half (those of a JPEG are soft); arrays and tensors are booleans, or numbers that are 0 and
    1, or 0 and 255.

    Raises:
        UserError: another kind, or other values.
    """
    kind = _library(mask)
    if kind == "PIL":
        if mask.mode not in ("1", "L", "RGB"):
            remedy = _MASKS_OF_MODE.get(mask.mode, "mask.convert('L') makes one")
            raise UserError(f"mask: expected a PIL image of mode 1, L or RGB, got {mask.mode}; {remedy}")
        levels = np.asarray(mask.convert("L"))
        if (share := float(((levels >= GREY_LEVELS[0]) & (levels <= GREY_LEVELS[1])).mean())) > MOST_GREY:
            raise UserError(
                f"mask: {share:.0%} of its pixels are neither black nor white; a mask is white where the hole is"
            )
        return (levels > (0 if levels.max(initial=0) <= 1 else 127)).astype(np.uint8)
    if kind == "torch":
        _check_dense(mask, "mask")
        mask = (mask.double() if mask.is_floating_point() else mask).detach().cpu().numpy()  # NumPy has no bfloat16
    if not isinstance(mask, np.ndarray):
        raise UserError(f"mask: expected a PIL image, a NumPy array or a torch tensor, got {_name(mask)}{_opened(mask)}")
    if mask.dtype.kind not in "biuf":
        raise UserError(f"mask: expected booleans, or 0 and 1 (or 0 and 255), 1 = hole, got an array of {mask.dtype}")
    largest = mask.max(initial=0)
    if mask.dtype != np.bool_ and not (largest in (0, 1, 255) and bool(((mask == 0) | (mask == largest)).all())):
        raise UserError(
            f"mask: expected booleans, or 0 and 1 (or 0 and 255), 1 = hole, got {mask.dtype} from {mask.min()} to {largest};"
            " mask > THRESHOLD makes booleans"
        )
    return (mask > 0).astype(np.uint8)


def _library(value: object) -> str:
    """`PIL` or `torch`, if it is of a class of theirs or of one that others (pillow_heif, torchvision) made of it."""
    libraries = (kind.__module__.partition(".")[0] for kind in type(value).__mro__)
    return next((library for library in libraries if library in ("PIL", "torch")), "")


def _check_dense(tensor: Tensor, what: str) -> None:
    """Refuses tensors that do not hold a number for each place."""
    import torch

    if tensor.is_meta:
        raise UserError(f"{what}: expected a tensor with values, got one on the device meta, which has none; load it anew")
    if tensor.is_nested or tensor.layout != torch.strided:
        kind = "nested" if tensor.is_nested else str(tensor.layout).removeprefix("torch.").strip("_")
        remedy = f"{what}.to_padded_tensor(0)" if tensor.is_nested else f"{what}.to_dense()"
        raise UserError(f"{what}: expected a dense tensor, got a {kind} one; give {remedy}")
    if tensor.is_quantized:
        raise UserError(f"{what}: expected a tensor of plain numbers, got a quantized one; give {what}.dequantize()")


def _single(mask: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(H, W), also of (1, H, W) and (H, W, 1)."""
    if mask.ndim == 3 and 1 in (mask.shape[0], mask.shape[2]):
        return mask[0] if mask.shape[0] == 1 else mask[..., 0]
    return mask


def _fill_pil(image: Any, mask: NDArray[np.uint8], fill: Fill) -> Any:
    from PIL import Image

    if image.mode not in ("L", "LA", "RGB", "RGBA"):
        remedy = _IMAGES_OF_MODE.get(image.mode, "image.convert('RGB')")
        raise UserError(f"image: expected a PIL image of mode L, LA, RGB or RGBA, got {image.mode}; {remedy}")
    filled = Image.fromarray(_fill_array(np.asarray(image), mask, fill))
    filled.info = dict(image.info)  # profile, EXIF with its orientation, ...: as Pillow's own functions do
    return filled


def _fill_array(image: Array, mask: NDArray[np.uint8], fill: Fill) -> Array:
    """Alpha comes back as it was; grey is shown as three equal channels, and comes back grey."""
    if image.dtype == np.dtype(np.uint16).newbyteorder():  # of files with the other order of bytes
        return _fill_array(image.astype(np.uint16), mask, fill).astype(image.dtype)
    if image.dtype not in (np.uint8, np.uint16):
        remedy = "; of floats in [0, 1] make (255 * x).round().astype('uint8')" if image.dtype.kind == "f" else ""
        raise UserError(f"image: expected {_OF_ARRAYS}, got {image.dtype} {image.shape}{remedy}")
    if image.ndim == 2:
        return _fill_array(image[..., None], mask, fill)[..., 0]
    if image.ndim != 3 or image.shape[2] not in (1, 2, 3, 4):
        raise UserError(f"image: expected {_OF_ARRAYS}, got {image.dtype} {image.shape}")
    channels = image.shape[2]
    colours = image[..., :3] if channels > 2 else np.repeat(image[..., :1], 3, axis=2)
    filled = fill(np.ascontiguousarray(colours), mask)
    result = image.copy()
    result[..., : 3 if channels > 2 else 1] = filled if channels > 2 else grey_of(filled)[..., None]
    return result


def _fill_tensor(image: Tensor, mask: Any, fill: Fill, value_range: ValueRange | None) -> Tensor:
    import torch

    if image.ndim not in (3, 4) or image.shape[-3] not in (1, 3):
        raise UserError(f"image: expected a tensor of {_OF_TENSORS}, got {image.dtype} {tuple(image.shape)}")
    if not image.numel():
        raise UserError(f"image: has no pixels, got {tuple(image.shape)}")
    holes = mask_array(mask)
    pictures = image if image.ndim == 4 else image[None]
    if holes.ndim == 4 and holes.shape[1] == 1:  # (B, 1, H, W)
        holes = holes[:, 0]
    elif holes.ndim == 3 and image.ndim == 3:
        holes = _single(holes)
    if holes.ndim == 2:
        holes = np.broadcast_to(holes, (len(pictures), *holes.shape))
    if holes.ndim != 3 or len(holes) != len(pictures):
        raise UserError(
            f"mask: expected (H, W), or one (1, H, W) for each of {len(pictures)} pictures, got {tuple(np.shape(mask))}"
        )
    if value_range is None and holes.shape[1:] == pictures.shape[2:] and _is_signed(pictures, holes):
        value_range = (-1.0, 1.0)
    filled = [_fill_one(picture, hole, fill, value_range) for picture, hole in zip(pictures, holes, strict=True)]
    return torch.stack(filled) if image.ndim == 4 else filled[0]


def _fill_one(picture: Tensor, mask: NDArray[np.uint8], fill: Fill, value_range: ValueRange | None) -> Tensor:
    """Floats are filled with 65536 levels; what was known is the tensor's own."""
    import torch

    values = picture.detach().cpu()
    if values.dtype == torch.uint8:
        if value_range is not None:
            raise UserError("value_range: says what floats mean; leave it out for a tensor of uint8")
        filled = _fill_array(values.permute(1, 2, 0).numpy(), mask, fill)
        return torch.from_numpy(filled).permute(2, 0, 1).contiguous().to(picture.device)
    if not values.is_floating_point() or values.dtype.itemsize < 2:  # 8 bits of float are too few levels
        raise UserError(f"image: expected a tensor of {_OF_TENSORS}, got {picture.dtype} {tuple(picture.shape)}")
    if tuple(values.shape[1:]) != mask.shape:
        raise UserError(f"mask: expected shape {tuple(values.shape[1:])} like the image, got {mask.shape}")
    known = torch.from_numpy(mask == 0)
    least, most = _range(values[:, known], value_range)
    share = ((values.double() - least) / (most - least)).where(known, torch.zeros((), dtype=torch.double))
    levels = (share * 65535).round().to(torch.int32).permute(1, 2, 0).numpy().astype(np.uint16)
    filled = _fill_array(levels, mask, fill)
    painted = torch.from_numpy(filled.astype(np.float64)).permute(2, 0, 1) / 65535 * (most - least) + least
    same = torch.from_numpy(filled == levels).permute(2, 0, 1) & known
    return torch.where(same, values, painted.to(values.dtype)).to(picture.device)


def _is_signed(pictures: Tensor, holes: NDArray[np.uint8]) -> bool:
    """Whether any known float is negative: all pictures of a batch have one range."""
    import torch

    if not pictures.is_floating_point() or pictures.dtype.itemsize < 2:
        return False
    return bool(((pictures < 0) & torch.from_numpy(holes == 0).to(pictures.device)[:, None]).any())


def _range(known: Tensor, value_range: ValueRange | None) -> ValueRange:
    if value_range is not None and tuple(value_range) not in ((0, 1), (-1, 1)):
        raise UserError(f"value_range: expected (-1, 1) or (0, 1), got {value_range!r}")
    if not known.numel():
        return value_range or (-1.0, 1.0)  # the mask is refused
    least, most = float(known.min()), float(known.max())
    if value_range is None and 0 <= least <= most <= 1:
        raise UserError(
            f"image: floats from {least:g} to {most:g} can be of [0, 1] or of [-1, 1]; say value_range=(0, 1) or (-1, 1)"
        )
    lowest, highest = value_range or (-1.0, 1.0)
    if not lowest <= least <= most <= highest:
        raise UserError(f"image: expected floats in [{lowest:g}, {highest:g}], got {least:g} to {most:g}")
    return lowest, highest


def _opened(value: object) -> str:
    return "; PIL.Image.open(path) opens a file" if isinstance(value, str | PurePath) else ""


def _name(value: object) -> str:
    return f"a {type(value).__module__}.{type(value).__name__}".replace("a builtins.", "a ")
