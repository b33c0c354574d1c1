"""Tiny videos, made by PyAV."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

TIME_BASE = Fraction(1, 12800)


def write_clip(
    path: Path,
    pictures: Sequence[NDArray[np.uint8]],
    times: Sequence[int] | None = None,
    codec: str = "libx264",
    pix_fmt: str = "yuv420p",
    rotation: int = 0,
    audio: str = "aac",
    title: str = "",
) -> Path:
    """Pictures (H, W, 3) at 25 a second, or at times in units of 1/12800 s; beside them half a second of noise to hear."""
    with av.open(str(path), "w") as container:
        video = container.add_stream(codec, rate=25)
        video.height, video.width = pictures[0].shape[:2]
        video.pix_fmt, video.codec_context.time_base = pix_fmt, TIME_BASE
        if codec == "libx264":
            video.options = {"crf": "10"}
        if rotation:
            video.set_display_rotation(rotation)
        if title:
            container.metadata["title"] = title
        sound = container.add_stream(audio, rate=44100) if audio else None
        for i, picture in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = times[i] if times else 512 * i, TIME_BASE
            container.mux(video.encode(frame))
        if sound:
            noise = np.random.default_rng(0).normal(0, 0.1, (1, 20480)).astype(np.float32)
            samples = av.AudioFrame.from_ndarray(noise, format="fltp", layout="mono")
            samples.rate, samples.pts = 44100, 0
            container.mux(sound.encode(samples))
            container.mux(sound.encode(None))
        container.mux(video.encode(None))
    return path


def frames(path: Path) -> list[Any]:
    with av.open(str(path)) as container:
        return list(container.decode(video=0))


def sound_packets(path: Path) -> list[tuple[int, int, bytes]]:
    with av.open(str(path)) as container:
        return [(packet.pts, packet.duration, bytes(packet)) for packet in container.demux(audio=0) if packet.size]


def scene(height: int, width: int, seed: int = 0) -> NDArray[np.uint8]:
    """Coloured noise without sharp edges: (H, W, 3)."""
    coarse = np.random.default_rng(seed).uniform(0, 255, (height // 8 + 2, width // 8 + 2, 3))
    rows, columns = np.arange(height) / 8, np.arange(width) / 8
    y, x = rows.astype(int), columns.astype(int)
    fy, fx = (rows - y)[:, None, None], (columns - x)[None, :, None]
    top = coarse[y][:, x] * (1 - fx) + coarse[y][:, x + 1] * fx
    bottom = coarse[y + 1][:, x] * (1 - fx) + coarse[y + 1][:, x + 1] * fx
    return (top * (1 - fy) + bottom * fy).astype(np.uint8)
