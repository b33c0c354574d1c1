"""What filling a hole will need beside what is there, estimated before the work begins.

The estimate is what the layers of a network put out, what its attention holds (the patches that are compared and copied, in
rows), and its scores. The factors were fitted to measured peaks; `tests/inpainting/test_memory.py` measures some again.
"""

from __future__ import annotations

import gc
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from pennet.errors import UserError

if TYPE_CHECKING:
    from torch import nn

    from pennet.inpainter import Plan, Strategy, Window

LAYERS_AT_ONCE = 1.6
"""Of what a network's layers put out together: what is held at its peak, with the copies that calls of libraries make."""
ROWS_AT_ONCE = 2
"""Of the rows of patches: beside them lies a second set, transposed or joined."""
SCORES_AT_ONCE, SCORES_AT_ONCE_RELEASED = 3, 16
"""Of a chunk of scores: what a softmax holds; in `released` mode also the shifted products of whole bands."""
PER_PIXEL = 72
"""Bytes of a window's own pixels: floats of the picture, its hole, what was painted, and the levels that are made of it."""
PER_PIXEL_CARRIED = 200
"""The same where details are carried up."""
PER_PIXEL_OF_PHOTO = 16
"""Bytes of the whole photo: the copy that is filled, the masks, and what finds its holes."""
OWN_SIDE_PX = 64
"""Least side of the picture that a network is asked about."""
PER_HOLE_PIXEL = {"biharmonic": 4500}
"""Bytes of a method without training that solves one equation for each pixel of a hole: 3.4 kB at 120x120, and growing."""

_ASKED: WeakKeyDictionary[nn.Module, float] = WeakKeyDictionary()
_ASKING = threading.Lock()
"""Held while a network is asked: what another thread lets it paint would be counted, too."""
_CGROUPS = (
    ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
    ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory/memory.usage_in_bytes"),
)


class TooLittleMemoryError(UserError):
    """What was asked for needs more memory than there is."""


def peak_bytes(
    generator: nn.Module | None, mask: NDArray[np.uint8], windows: Sequence[Window], carries: bool = False, method: str = ""
) -> int:
    """Estimated peak of filling a mask's holes, beside what Python, torch, the photo and the model take.

    Args:
        generator: None for a method without training, which `method` then names.
        mask: (H, W) in {0, 1}.
        windows: that are filled one after the other.
        carries: whether details are carried up.
    """
    own = PER_PIXEL_OF_PHOTO * mask.size
    largest = 0
    if per_hole_pixel := PER_HOLE_PIXEL.get(method, 0):
        holes = (mask[w.top : w.top + w.height, w.left : w.left + w.width] for w in windows)
        own += per_hole_pixel * max(int(hole.sum()) for hole in holes)
    for height, width, factor in {window[2:] for window in windows}:
        pixels = height * width
        needed: float = pixels * (PER_PIXEL_CARRIED if carries and factor > 1 else PER_PIXEL)
        if generator is not None:
            lines_seen, columns_seen = -(-height // factor), -(-width // factor)
            needed += network_bytes(generator) * lines_seen * columns_seen
            if attention_gib := getattr(generator, "attention_gib", None):  # of ONNX: all scores at once, or refused
                most = float(generator.max_gib)  # type: ignore[arg-type]
                needed += min(most, attention_gib(1, lines_seen, columns_seen)) * 2**30
        largest = max(largest, int(needed))
    return own + largest + (scores_bytes(generator) if generator is not None else 0)


def scores_bytes(generator: nn.Module) -> int:
    """What attention's scores take, of which there are never more than a chunk at once."""
    from pennet.models.chunks import max_scores

    if not getattr(generator, "has_attention", False):
        return 0
    is_released = any(getattr(part, "mode", "") == "released" for part in generator.modules())
    at_once = SCORES_AT_ONCE_RELEASED if is_released else SCORES_AT_ONCE
    return 4 * at_once * max_scores(next(generator.parameters()).device)


def network_bytes(generator: nn.Module) -> float:
    """Bytes for each pixel of its input that a network holds at its peak, found by asking it about a small picture once."""
    with _ASKING:
        if generator not in _ASKED:
            _ASKED[generator] = _ask(generator)
        return _ASKED[generator]


def _ask(generator: nn.Module) -> float:
    import torch

    held = 0

    def count(_module: nn.Module, _inputs: object, output: object) -> None:
        nonlocal held
        if isinstance(output, torch.Tensor):
            held += output.numel() * output.element_size()

    unit = int(generator.unit_px)  # type: ignore[arg-type]
    side = -(-OWN_SIDE_PX // unit) * unit
    device = next(generator.parameters()).device
    image, mask = torch.zeros(1, 3, side, side, device=device), torch.zeros(1, 1, side, side, device=device)
    mask[..., side // 4 : side // 2, side // 4 : side // 2] = 1
    hooks = [part.register_forward_hook(count) for part in generator.modules() if not list(part.children())]
    try:
        with torch.inference_mode():
            generator(image, mask)
    finally:
        for hook in hooks:
            hook.remove()
    return LAYERS_AT_ONCE * held / side**2 + ROWS_AT_ONCE * _row_bytes(generator)


def _row_bytes(generator: nn.Module) -> float:
    """Bytes for each pixel of the rows of PEN-Net's largest attention transfer; others put theirs out as layers."""
    from pennet.models.pennet import PENNet

    if not isinstance(generator, PENNet):
        return 0
    channels: list[int] = [conv.out_channels for conv in generator.encoder.convs]  # type: ignore[misc]
    largest = 0.0
    for i in range(len(channels) - 1):
        transfer: Any = generator.transfers[-1 - i]
        scale = generator.shallowest + i + 1
        if transfer is None or scale < generator.finest_attention:
            continue
        # What is compared: the picture with its energy, or features; what is copied: patches of stride + 2.
        compared = transfer.kernel_size**2 * (4 if generator.compares == "picture" else channels[i + 1])
        served = range(i + 1) if scale == generator.finest_attention else range(i, i + 1)
        sides = [2 ** (i + 1 - shallow) + 2 for shallow in served]
        widths = [channels[shallow] + 1 + 3 * ("picture" in generator.fills) for shallow in served]
        copied = sum(side**2 * width for side, width in zip(sides, widths, strict=True))
        largest = max(largest, 4 * (compared + copied) / 4**scale)
    return largest


def available_bytes(generator: nn.Module | None = None) -> int | None:
    """Memory that can still be had, of the GPU if the generator is on one; None where the system does not say.

    The least of what the machine has left, what the container may still take, and the limit of the process's addresses.
    """
    if generator is not None and (device := next(generator.parameters()).device).type == "cuda":
        import torch

        return torch.cuda.mem_get_info(device)[0]
    found = []
    if (machine := _amount("/proc/meminfo", "MemAvailable:", 2**10)) is not None:
        found.append(machine)
    for limit_file, used_file in _CGROUPS:
        limit, used = _number(limit_file), _number(used_file)
        if limit is not None and used is not None:
            found.append(max(0, limit - used + _cached(limit_file)))
    try:
        import resource
    except ModuleNotFoundError:  # Windows
        return min(found, default=None)
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    if limit != resource.RLIM_INFINITY and (used := _amount("/proc/self/status", "VmSize:", 2**10)) is not None:
        found.append(max(0, limit - used))
    return min(found, default=None)


def _amount(path: str, key: str, unit: int) -> int | None:
    try:
        return int(Path(path).read_text().partition(key)[2].split()[0]) * unit
    except (OSError, IndexError, ValueError):
        return None


def _number(path: str) -> int | None:
    try:
        return int(Path(path).read_text())
    except (OSError, ValueError):  # `max`: no limit
        return None


def _cached(limit_file: str) -> int:
    """Of what a container has taken: files that it gives back when it needs room."""
    return _amount(str(Path(limit_file).with_name("memory.stat")), "inactive_file ", 1) or 0


def check_fits(plan: Plan, size: tuple[int, int], generator: nn.Module | None, needs: Callable[[Strategy], int]) -> None:
    """Raises a TooLittleMemoryError if a plan needs more than there is.

    Args:
        plan: what is to be done.
        size: height and width of the photo.
        generator: of the model.
        needs: what another strategy would need.
    """
    there_is = available_bytes(generator)
    if there_is is None or plan.memory_bytes <= there_is:
        return
    others: list[Strategy] = ["auto", "resize", "crop"]
    fitting = [other for other in others if other != plan.strategy and needs(other) <= there_is]
    raise TooLittleMemoryError(_message(plan, size, f"there are {_gib(there_is)}", fitting))


@contextmanager
def too_little_at_last(plan: Plan, size: tuple[int, int]) -> Iterator[None]:
    """Turns an allocation that fails all the same into that one message.

    Raises:
        TooLittleMemoryError: the memory did not suffice.
    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not _is_out_of_memory(error):
            raise
        gc.collect()
        others: list[Strategy] = ["auto"] if plan.strategy in ("original", "crop") else []
        raise TooLittleMemoryError(_message(plan, size, "there was less", others)) from error


def _message(plan: Plan, size: tuple[int, int], there_is: str, fitting: list[Strategy]) -> str:
    remedy = f"use the strategy {fitting[0]}, which fits" if fitting else "end other programs, or make the photo smaller"
    return (
        f"a photo of {size[1]}x{size[0]} px with the strategy {plan.strategy} needs about {_gib(plan.memory_bytes)} of"
        f" memory, and {there_is}; {remedy}"
    )


def _gib(number: int) -> str:
    return f"{number / 2**30:.1f} GiB"


def _is_out_of_memory(error: Exception) -> bool:
    """torch has a class for it on GPUs alone."""
    import torch

    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return any(words in str(error) for words in ("can't allocate memory", "not enough memory", "out of memory"))
