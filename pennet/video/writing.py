"""Writes a video beside another one's sound: same codec, bit rate, times and tags, all other streams packet by packet."""

from __future__ import annotations

import math
from contextlib import suppress
from pathlib import Path
from typing import Any

import av
from av.codec import Codec

from pennet.errors import UserError

ENCODERS = {
    "h264": "libx264",
    "hevc": "libx265",
    "vp8": "libvpx",
    "vp9": "libvpx-vp9",
    "av1": "libsvtav1",
    "prores": "prores_ks",
}
"""Codec -> what encodes it, where the names differ."""
FINEST_TIME = {"mpeg1video": 0, "mpeg2video": 0, "mpeg4": 65535}
"""Codec -> largest denominator of the times that it can tell; beyond, and for the old two always, frames are counted."""
OTHERWISE = "libx264"
LOSSLESS = ("ffv1", "huffyuv", "ffvhuff", "png", "rawvideo", "utvideo", "qtrle")
QUALITY = "18"
"""Constant rate factor of x264 and x265 where the source's bit rate is not known: hardly to be told from the source."""


class Copy:
    """An open output, of the same streams as the source: frames are encoded, all other packets copied.

    Args:
        path: where it is written.
        source: an open container.
        named: what to call it in errors.
        rotation: by how many degrees to the left frames are turned when they are shown.

    Attributes:
        words: what a person should know, each a sentence.

    Raises:
        UserError: the format that the name asks for does not exist, or cannot hold a stream.
    """

    def __init__(self, path: Path, source: Any, named: Path, rotation: int = 0):
        self.named, self.words = named, list[str]()
        self._remedy = "a name that ends as the source's keeps its codecs"
        try:
            self.container = av.open(str(path), "w")
        except (ValueError, av.FFmpegError) as error:
            raise UserError(
                f"{named}: no video can be written there ({error}); choose a name like {named.stem}.mp4"
            ) from error
        self.video_in = source.streams.video[0]
        self.streams: dict[int, Any] = {}
        try:
            for stream in source.streams:
                if stream is self.video_in:
                    self.streams[stream.index] = self._encoded(stream)
                elif stream.type in ("audio", "subtitle", "video", "attachment"):
                    self.streams[stream.index] = self.container.add_stream_from_template(stream)
                else:
                    self.words.append(
                        f"stream {stream.index} ({stream.type}) was left out: only sound and subtitles are copied."
                    )
                    continue
                copy = self.streams[stream.index]
                copy.metadata.update(stream.metadata)
                copy.disposition = stream.disposition
        except (ValueError, av.FFmpegError) as error:
            self.container.close()
            raise self._refused(error) from error
        self.container.metadata.update(source.metadata)
        self.container.set_chapters(source.chapters())
        self.video_out = self.streams[self.video_in.index]
        if rotation:
            self.video_out.set_display_rotation(rotation)

    def _encoded(self, stream: Any) -> Any:
        codec = stream.codec_context.name
        codec = {"libdav1d": "av1", "libvpx-vp9": "vp9", "libvpx": "vp8"}.get(codec, codec)
        given = stream.codec_context
        encoder, pix_fmt = ENCODERS.get(codec, codec), given.pix_fmt
        if not _takes(encoder, pix_fmt):
            self.words.append(f"{codec} in {pix_fmt} cannot be encoded here: the video was written as H.264.")
            encoder, self._remedy = OTHERWISE, f"choose a name that holds H.264, like {self.named.stem}.mp4"
            if given.width % 2 or given.height % 2:  # halved colours need even sides
                pix_fmt = "yuv444p"
            elif not _takes(OTHERWISE, pix_fmt):
                pix_fmt = "yuv420p"
        rate = stream.average_rate or stream.guessed_rate
        out = self.container.add_stream(encoder, rate=rate)
        made = out.codec_context
        made.width, made.height, made.pix_fmt = given.width, given.height, pix_fmt
        is_coarse = stream.time_base.denominator > FINEST_TIME.get(encoder, math.inf)
        made.time_base = 1 / rate if is_coarse else stream.time_base
        own_matrix = ("colorspace",) if pix_fmt == given.pix_fmt else ()  # of RGB that became another one
        for name in ("color_primaries", "color_trc", "color_range", "sample_aspect_ratio", *own_matrix):
            if (value := getattr(given, name)) is not None:
                setattr(made, name, value)
        if codec in LOSSLESS:
            return out
        if bit_rate := given.bit_rate or _bit_rate(stream):
            made.bit_rate = bit_rate
        elif encoder in ("libx264", "libx265"):
            made.options = {"crf": QUALITY}
        return out

    def write(self, frame: Any) -> None:
        """Encodes the next frame."""
        try:
            packets = self.video_out.encode(frame)
        except (ValueError, av.FFmpegError) as error:  # an encoder is opened with its first frame
            raise self._refused(error) from error
        self._mux(packets)

    def copy(self, packet: Any) -> None:
        """Copies a packet of another stream than the video."""
        if packet.size and packet.stream.index in self.streams:  # the last one of a stream is empty
            packet.stream = self.streams[packet.stream.index]
            self._mux([packet])

    def close(self) -> None:
        """Encodes what is still held back, and ends the file."""
        self.write(None)
        try:
            self.container.close()
        except av.FFmpegError as error:
            raise self._refused(error) from error

    def abandon(self) -> None:
        """Closes a file that nobody will read."""
        with suppress(ValueError, OSError, av.FFmpegError):
            self.container.close()

    def _mux(self, packets: Any) -> None:
        try:
            self.container.mux(packets)
        except (ValueError, av.FFmpegError) as error:
            raise self._refused(error) from error

    def _refused(self, error: Exception) -> UserError:
        return UserError(f"{self.named}: {error}; {self._remedy}")


def _takes(encoder: str, pix_fmt: str) -> bool:
    """Whether an encoder is there, and for frames as the source has them: of GIFs FFmpeg decodes others than it encodes."""
    try:
        formats = Codec(encoder, "w").video_formats
    except ValueError:
        return False
    return not formats or pix_fmt in {each.name for each in formats}


def _bit_rate(stream: Any) -> int:
    """Of a stream that does not say its own: what the file's other streams leave; 0 if it is not known."""
    container = stream.container
    others = [other.codec_context.bit_rate or 0 for other in container.streams if other.type == "audio"]
    return max(0, (container.bit_rate or 0) - sum(others))
