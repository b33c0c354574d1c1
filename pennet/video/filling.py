"""Fills the holes of a video, frame by frame: in memory are a few frames, however long it is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pennet.atomic import replacing
from pennet.data.pictures.picture_files import SUFFIXES
from pennet.errors import UserError
from pennet.video.calming import Calmed, Fill
from pennet.video.flicker import Flicker
from pennet.video.reading import from_rgb, masks, open_video, to_rgb
from pennet.video.writing import Copy

if TYPE_CHECKING:
    from pennet.video.attention_memory import AttentionMemory

MEASURED_EVERY = 8
"""Of so many frames two consecutive ones are filled by themselves, too, to say how much calmer the others are."""


class Report(NamedTuple):
    """What was done."""

    frames: int
    flicker: float | None
    """Of the result, see `Flicker`; of a calmed one, in the frames that were measured."""
    plain_flicker: float | None
    """Of the same frames filled each by itself."""
    words: tuple[str, ...]
    """What a person should know, each a sentence."""


def fill_video(
    video: Path,
    mask: Path,
    output: Path,
    fill: Fill,
    smooth: bool = True,
    progress: Callable[[int], None] | None = None,
    memory: AttentionMemory | None = None,
) -> Report:
    """Fills the hole of every frame; sound, subtitles, times and tags stay as they are.

    Args:
        video: what FFmpeg reads.
        mask: a picture for all frames, a folder of pictures or a video for one each; white = hole, drawn on the frames as
            they are shown.
        output: appears when it is whole.
        fill: fills one frame.
        smooth: whether holes are calmed by the frame before.
        progress: called with the number of frames done.
        memory: of the model that fills, if it has attention that remembers; used if `smooth`.

    Raises:
        UserError: a file that cannot be read or written, a mask of another size, fewer or more masks than frames, or what
            `fill` refuses.
        OSError: the disk is full or not writable.
    """
    rotation = _first_frame(video).rotation
    calmed, result, plain = Calmed(fill, memory), Flicker(), Flicker()
    frames = 0
    with closing(open_video(video)) as source, replacing(output) as temporary:
        copy = Copy(temporary, source, output, rotation)
        holes: Iterator[NDArray[np.bool_]] | None = None
        try:
            for packet in source.demux():
                if packet.stream is not copy.video_in:
                    copy.copy(packet)
                    continue
                for frame in _decoded(packet, video):
                    picture = to_rgb(frame)
                    holes = holes or masks(mask, *picture.shape[:2])
                    hole = next(holes, None)
                    if hole is None:
                        raise UserError(
                            f"{mask}: {frames} masks, and the video has more frames; one mask for each is expected"
                        )
                    measured = not smooth or frames % MEASURED_EVERY < 2
                    if measured:
                        painted = fill(picture, hole.astype(np.uint8)) if hole.any() else picture
                    filled = calmed.step(picture, hole) if smooth else painted
                    if measured:
                        plain.add(painted, hole)
                        result.add(filled, hole)
                    else:
                        plain.before = result.before = None
                    copy.write(from_rgb(filled, frame) if hole.any() else frame)
                    frames += 1
                    if progress:
                        progress(frames)
            if holes is not None and not _is_picture(mask) and next(holes, None) is not None:
                raise UserError(f"{mask}: more masks than the {frames} frames of {video}; one mask for each is expected")
            copy.close()
        except BaseException:
            copy.abandon()
            raise
    return Report(frames, result.value, plain.value, tuple(copy.words))


def _is_picture(mask: Path) -> bool:
    return not mask.is_dir() and mask.suffix.lower() in SUFFIXES


def _first_frame(video: Path) -> Any:
    with closing(open_video(video)) as container:
        for packet in container.demux(video=0):
            for frame in _decoded(packet, video):
                return frame
    raise UserError(f"{video}: a video stream without a frame")


def _decoded(packet: Any, video: Path) -> list[Any]:
    import av

    try:
        return packet.decode()
    except av.FFmpegError as error:
        raise UserError(
            f"{video}: cannot be decoded after {float(packet.pts or 0) * float(packet.time_base or 0):.2f} s"
            f" ({error.strerror}); it may be cut off"
        ) from error
