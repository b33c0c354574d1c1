"""Reads videos and their masks, a frame at a time."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from pennet.data.pictures.picture_files import SUFFIXES, read_mask
from pennet.errors import UserError


def open_video(path: Path) -> Any:
    """An open container with a video stream, whose `streams.video[0]` is decoded by several threads.

    Raises:
        UserError: no such file, nothing that FFmpeg reads, or without a video stream; names the file.
    """
    if not path.is_file():
        raise UserError(f"{path}: no such file")
    try:
        container = av.open(str(path))
    except av.FFmpegError as error:
        raise UserError(f"{path}: not a video that FFmpeg can read ({error.strerror})") from error
    if not container.streams.video:
        container.close()
        raise UserError(f"{path}: no video stream")
    container.streams.video[0].thread_type = "AUTO"
    return container


def to_rgb(frame: Any) -> NDArray[np.uint8]:
    """A decoded frame, the right side up: (H, W, 3), RGB. Of more than 8 bits the upper 8 are read."""
    rgb = frame.reformat(format="rgb24", src_colorspace=frame.colorspace, src_color_range=frame.color_range)
    return np.ascontiguousarray(np.rot90(rgb.to_ndarray(), quarter_turns(frame)))


def from_rgb(picture: NDArray[np.uint8], like: Any) -> Any:
    """Undoes `to_rgb`: a frame in the format of another one, which lies as that one does and is shown at its time."""
    lying = np.ascontiguousarray(np.rot90(picture, -quarter_turns(like)))
    frame = av.VideoFrame.from_ndarray(lying, format="rgb24")
    frame = frame.reformat(format=like.format.name, dst_colorspace=like.colorspace, dst_color_range=like.color_range)
    frame.pts, frame.time_base = like.pts, like.time_base
    frame.colorspace, frame.color_range = like.colorspace, like.color_range
    return frame


def quarter_turns(frame: Any) -> int:
    """How often a frame is turned to the left to be the right side up."""
    return round(frame.rotation / 90) % 4


def masks(path: Path, height: int, width: int) -> Iterator[NDArray[np.bool_]]:
    """Holes, (H, W), for one frame after the other: of one picture without end, of a folder of pictures or a video in order.

    Raises:
        UserError: no such file, no pictures in a folder, or a mask of another size; names the file.
    """

    def checked(mask: NDArray[Any], name: str) -> NDArray[np.bool_]:
        if mask.shape != (height, width):
            found = f"{mask.shape[1]}x{mask.shape[0]}"
            raise UserError(
                f"{name}: a mask of {found} px, and the video has {width}x{height}; draw it on a frame of the video"
            )
        return mask > 0

    if path.is_dir():
        files = sorted(file for file in path.iterdir() if file.suffix.lower() in SUFFIXES)
        if not files:
            raise UserError(f"{path}: no pictures in this folder; one mask for each frame is expected, in the names' order")
        yield from (checked(read_mask(file), str(file)) for file in files)
    elif path.suffix.lower() in SUFFIXES:
        yield from itertools.repeat(checked(read_mask(path), str(path)))
    else:
        with open_video(path) as container:
            for frame in container.decode(video=0):
                yield checked(to_rgb(frame).mean(axis=2) > 127, str(path))
