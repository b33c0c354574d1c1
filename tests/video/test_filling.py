"""Whole videos: what is in the hole is filled, and everything else is as it was."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from typer.testing import CliRunner

import pennet.inpainter
from pennet.cli import app
from pennet.errors import UserError
from pennet.video import writing
from pennet.video.filling import fill_video
from pennet.video.reading import from_rgb, open_video, to_rgb
from tests.video.clips import frames, scene, sound_packets, write_clip

HOLE = np.zeros((48, 64), np.uint8)
HOLE[16:32, 24:40] = 1
WIDE = scene(48, 120)
PAN = [np.ascontiguousarray(WIDE[:, i : i + 64]) for i in range(12)]


def grey(frame: NDArray[np.uint8], mask: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.where(mask[..., None] > 0, np.uint8(128), frame)


@pytest.fixture
def mask(tmp_path: Path) -> Path:
    Image.fromarray(255 * HOLE).save(tmp_path / "mask.png")
    return tmp_path / "mask.png"


def test_hole_is_filled_and_the_rest_kept(tmp_path: Path, mask: Path) -> None:
    source = write_clip(tmp_path / "in.mkv", PAN, codec="ffv1", pix_fmt="bgr0", audio="flac")
    report = fill_video(source, mask, tmp_path / "out.mkv", grey, smooth=False)
    assert (report.frames, report.words) == (12, ())
    for before, after in zip(frames(source), frames(tmp_path / "out.mkv"), strict=True):
        assert (to_rgb(after) == grey(to_rgb(before), HOLE)).all()  # lossless in, lossless out
    with av.open(str(tmp_path / "out.mkv")) as container:
        assert container.streams.video[0].codec_context.name == "ffv1"


@pytest.mark.parametrize(("suffix", "audio"), [("mp4", "aac"), ("mkv", "flac"), ("mov", "aac")])
def test_sound_is_copied_packet_by_packet(tmp_path: Path, mask: Path, suffix: str, audio: str) -> None:
    source = write_clip(tmp_path / f"in.{suffix}", PAN, audio=audio, title="A walk")
    output = tmp_path / f"out.{suffix}"
    fill_video(source, mask, output, grey)
    assert len(sound_packets(source)) > 4
    assert sound_packets(output) == sound_packets(source)
    with av.open(str(output)) as container:
        assert [stream.type for stream in container.streams] == ["video", "audio"]
        assert container.metadata.get("title", container.metadata.get("TITLE")) == "A walk"
        assert container.streams.video[0].codec_context.name == "h264"
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([source.name, "mask.png", output.name])


def test_subtitles_and_chapters_are_copied(tmp_path: Path, mask: Path) -> None:
    plain = write_clip(tmp_path / "plain.mp4", PAN)
    (tmp_path / "words.srt").write_text("1\n00:00:00,000 --> 00:00:00,400\nA walk\n")
    opened = av.open(str(plain)), av.open(str(tmp_path / "words.srt")), av.open(str(tmp_path / "in.mkv"), "w")
    with opened[0] as video, opened[1] as words, opened[2] as both:
        copies = {s: both.add_stream_from_template(s) for s in (video.streams.video[0], words.streams.subtitles[0])}
        chapter = {
            "id": 1,
            "start": 0,
            "end": 200,
            "time_base": video.streams.video[0].time_base,
            "metadata": {"title": "one"},
        }
        both.set_chapters([chapter])
        for container in (video, words):
            for packet in container.demux(*[s for s in container.streams if s in copies]):
                if packet.size:
                    packet.stream = copies[packet.stream]
                    both.mux(packet)
    fill_video(tmp_path / "in.mkv", mask, tmp_path / "out.mkv", grey)

    def subtitles(path: Path) -> list[tuple[int, bytes]]:
        with av.open(str(path)) as container:
            assert [chapter["metadata"]["title"] for chapter in container.chapters()] == ["one"]
            return [(packet.pts, bytes(packet)) for packet in container.demux(subtitles=0) if packet.size]

    assert subtitles(tmp_path / "out.mkv") == subtitles(tmp_path / "in.mkv") != []


def test_variable_frame_rate_is_kept(tmp_path: Path, mask: Path) -> None:
    times = [0, 500, 1100, 1536, 2100, 2600, 3500, 5000, 5300, 6000, 6400, 7000]
    source = write_clip(tmp_path / "in.mp4", PAN, times)
    fill_video(source, mask, tmp_path / "out.mp4", grey)
    before, after = ([float(frame.time) for frame in frames(path)] for path in (source, tmp_path / "out.mp4"))
    assert after == pytest.approx(before, abs=1e-4)


@pytest.mark.parametrize("rotation", [90, -90, 180])
def test_turned_videos_take_masks_as_they_are_shown(tmp_path: Path, rotation: int) -> None:
    source = write_clip(tmp_path / "in.mp4", PAN, rotation=rotation)
    upright = to_rgb(frames(source)[0])
    assert upright.shape == ((48, 64, 3) if rotation == 180 else (64, 48, 3))
    expected = np.rot90(PAN[0], rotation // 90)
    assert np.abs(upright.astype(int) - expected).mean() < 10  # chroma has half the resolution
    hole = np.zeros(upright.shape[:2], np.uint8)
    hole[4:20, 8:24] = 1
    Image.fromarray(255 * hole).save(tmp_path / "mask.png")
    fill_video(source, tmp_path / "mask.png", tmp_path / "out.mp4", grey, smooth=False)
    result = frames(tmp_path / "out.mp4")[0]
    assert result.rotation % 360 == rotation % 360
    assert np.abs(to_rgb(result)[7:17, 11:21].astype(int) - 128).mean() < 6


def test_masks_of_a_folder_and_of_a_video(tmp_path: Path) -> None:
    source = write_clip(tmp_path / "in.mkv", PAN, codec="ffv1", pix_fmt="bgr0", audio="")
    moving = [np.roll(HOLE, i, axis=1) for i in range(12)]
    moving[5] = np.zeros_like(HOLE)  # nothing to fill in this one
    (tmp_path / "masks").mkdir()
    for i, hole in enumerate(moving):
        Image.fromarray(255 * hole).save(tmp_path / "masks" / f"{i:03}.png")
    video = write_clip(tmp_path / "masks.mkv", [np.repeat(255 * m[..., None], 3, axis=2) for m in moving], audio="")
    for masks in (tmp_path / "masks", video):
        fill_video(source, masks, tmp_path / "out.mkv", grey, smooth=False)
        for frame, picture, hole in zip(frames(tmp_path / "out.mkv"), PAN, moving, strict=True):
            assert (to_rgb(frame) == grey(picture, hole)).all()

    (tmp_path / "masks" / "011.png").unlink()
    with pytest.raises(UserError, match="masks: 11 masks, and the video has more frames"):
        fill_video(source, tmp_path / "masks", tmp_path / "few.mkv", grey)
    for name in ("011.png", "012.png"):
        Image.fromarray(255 * HOLE).save(tmp_path / "masks" / name)
    with pytest.raises(UserError, match="masks: more masks than the 12 frames"):
        fill_video(source, tmp_path / "masks", tmp_path / "many.mkv", grey)
    assert not list(tmp_path.glob("few*")) + list(tmp_path.glob("many*")) + list(tmp_path.glob(".*"))


def test_static_clip_does_not_flicker(tmp_path: Path, mask: Path) -> None:
    source = write_clip(tmp_path / "in.mkv", [PAN[0]] * 6, codec="ffv1", pix_fmt="bgr0", audio="")
    report = fill_video(source, mask, tmp_path / "out.mkv", grey)
    assert (report.flicker, report.plain_flicker) == (0, 0)


def test_smoothing_calms_a_restless_filler(tmp_path: Path, mask: Path) -> None:
    rng = np.random.default_rng(0)

    def restless(frame: NDArray[np.uint8], hole: NDArray[np.uint8]) -> NDArray[np.uint8]:
        return np.where(hole[..., None] > 0, np.uint8(rng.integers(80, 176)), frame)

    source = write_clip(tmp_path / "in.mp4", [PAN[0]] * 12)
    report = fill_video(source, mask, tmp_path / "out.mp4", restless)
    assert report.flicker is not None and report.plain_flicker is not None
    assert report.flicker < 0.3 * report.plain_flicker


def test_colours_survive_the_way_through_rgb(tmp_path: Path) -> None:
    source = write_clip(tmp_path / "in.mp4", PAN)
    for frame in frames(source):
        back = from_rgb(to_rgb(frame), frame)
        assert (back.format.name, back.pts) == (frame.format.name, frame.pts)
        assert np.abs(back.to_ndarray().astype(int) - frame.to_ndarray()).mean() < 1.5


def test_a_codec_that_cannot_be_encoded_becomes_another_with_a_word(
    tmp_path: Path, mask: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(writing.ENCODERS, "mpeg4", "of an FFmpeg without it")
    source = write_clip(tmp_path / "in.mp4", PAN, codec="mpeg4")
    report = fill_video(source, mask, tmp_path / "out.mp4", grey)
    assert report.words == ("mpeg4 in yuv420p cannot be encoded here: the video was written as H.264.",)
    with open_video(tmp_path / "out.mp4") as container:
        assert container.streams.video[0].codec_context.name == "h264"


@pytest.mark.parametrize(("codec", "pix_fmt", "width"), [("gif", "rgb8", 64), ("libx264rgb", "rgb24", 63)])
def test_frames_that_cannot_be_encoded_as_they_are_become_others(
    tmp_path: Path, mask: Path, codec: str, pix_fmt: str, width: int
) -> None:
    source = tmp_path / ("in.gif" if codec == "gif" else "in.mkv")
    write_clip(source, [np.ascontiguousarray(picture[:, :width]) for picture in PAN], None, codec, pix_fmt, audio="")
    Image.fromarray(255 * HOLE[:, :width]).save(mask)
    report = fill_video(source, mask, tmp_path / "out.mp4", grey, smooth=False)
    assert report.frames == 12 and "the video was written as H.264" in report.words[0]
    for before, after in zip(frames(source), frames(tmp_path / "out.mp4"), strict=True):
        apart = to_rgb(after).astype(int) - grey(to_rgb(before), HOLE[:, :width])
        assert np.abs(apart.mean(axis=(0, 1))).max() < 4  # of single pixels more: a GIF's are dithered


@pytest.mark.parametrize(("name", "codec"), [("in.mpg", "mpeg2video"), ("in.vob", "mpeg1video"), ("in.ts", "mpeg4")])
def test_codecs_that_count_frames_in_containers_that_tell_times(tmp_path: Path, mask: Path, name: str, codec: str) -> None:
    source, output = tmp_path / name, tmp_path / name.replace("in", "out")
    with av.open(str(source), "w") as container:
        video = container.add_stream(codec, rate=25)
        video.height, video.width, video.pix_fmt = 48, 64, "yuv420p"
        for picture in PAN:
            container.mux(video.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(video.encode(None))
    assert frames(source)[0].time_base.denominator == 90000
    assert fill_video(source, mask, output, grey).words == ()
    before, after = ([float(frame.time) for frame in frames(path)] for path in (source, output))
    assert np.diff(after) == pytest.approx(np.diff(before), abs=1e-4)
    with open_video(output) as container:
        assert container.streams.video[0].codec_context.name == codec


def test_memory_does_not_grow_with_the_length(tmp_path: Path, mask: Path) -> None:
    import tracemalloc

    def peak(count: int) -> int:
        source = write_clip(tmp_path / f"{count}.mp4", [PAN[i % 12] for i in range(count)], audio="")
        tracemalloc.start()
        fill_video(source, mask, tmp_path / "out.mp4", grey)
        try:
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peak(6)
    assert peak(40) < peak(15) + 100_000  # ten frames


@pytest.mark.parametrize(
    ("case", "message"),
    [
        ("missing", "none.mp4: no such file"),
        ("no video", "notes.txt: not a video that FFmpeg can read"),
        ("sound only", "sound.m4a: no video stream"),
        ("mask size", "mask.png: a mask of 32x48 px, and the video has 64x48; draw it on a frame"),
        ("no container", "out.xyz: no video can be written there"),
        ("folder is a file", "in.mp4"),
        ("empty folder", "empty: no pictures in this folder"),
        ("wrong container", "a name that ends as the source's keeps its codecs"),
        ("gif", "choose a name that holds H.264, like out.mp4"),
    ],
)
def test_errors_name_the_file_and_leave_nothing(tmp_path: Path, mask: Path, case: str, message: str) -> None:
    video, output = write_clip(tmp_path / "in.mp4", PAN[:2]), tmp_path / "out.mp4"
    if case == "missing":
        video = tmp_path / "none.mp4"
    elif case == "no video":
        video = tmp_path / "notes.txt"
        video.write_text("no video")
    elif case == "sound only":
        with av.open(str(video)) as container, av.open(str(tmp_path / "sound.m4a"), "w") as sound:
            copy = sound.add_stream_from_template(container.streams.audio[0])
            for packet in container.demux(audio=0):
                if packet.dts is not None:
                    packet.stream = copy
                    sound.mux(packet)
        video = tmp_path / "sound.m4a"
    elif case == "mask size":
        Image.fromarray(255 * HOLE[:, :32]).save(mask)
    elif case == "no container":
        output = tmp_path / "out.xyz"
    elif case == "folder is a file":
        output = video / "out.mp4"
    elif case == "empty folder":
        mask = tmp_path / "empty"
        mask.mkdir()
    elif case == "gif":
        video, output = write_clip(tmp_path / "in.gif", PAN[:2], None, "gif", "rgb8", audio=""), tmp_path / "out.gif"
    else:
        output = tmp_path / "out.webm"
    before = sorted(tmp_path.iterdir())
    with pytest.raises((UserError, OSError)) as caught:
        fill_video(video, mask, output, grey)
    assert message in str(caught.value)
    assert sorted(tmp_path.iterdir()) == before


def test_interrupted_leaves_nothing_half_written(tmp_path: Path, mask: Path) -> None:
    """A real process, stopped by Ctrl-C in the middle of its frames."""
    write_clip(tmp_path / "in.mp4", PAN)
    script = """
import sys, time
from pathlib import Path
from pennet.video.filling import fill_video
folder = Path(sys.argv[1])
def slow(frame, hole):
    (folder / "begun").touch()
    time.sleep(600)  # until Ctrl-C
    return frame
fill_video(folder / "in.mp4", folder / "mask.png", folder / "out.mp4", slow)
"""
    process = subprocess.Popen([sys.executable, "-c", script, str(tmp_path)], stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 240
        while not (tmp_path / "begun").exists() and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.05)
        assert (tmp_path / "begun").exists()
        os.kill(process.pid, signal.SIGINT)
        assert process.wait(timeout=60) != 0
    finally:
        process.kill()
    assert {path.name for path in tmp_path.iterdir()} == {"in.mp4", "mask.png", "begun"}


class _Grey:
    """Takes the place of an `Inpainter`."""

    def __init__(self, model: str, device: str):
        self.model = model

    def fill(self, image: NDArray[np.uint8], mask: NDArray[np.uint8], sharpness: float | None = None) -> object:
        return pennet.inpainter.Filled(grey(image, mask), None, 0.0)  # type: ignore[arg-type]


def test_command(tmp_path: Path, mask: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pennet.inpainter, "Inpainter", _Grey)
    source, output = write_clip(tmp_path / "in.mp4", PAN), tmp_path / "out.mp4"
    result = CliRunner().invoke(app, ["inpaint-video", str(source), str(mask), "-o", str(output)])
    assert result.exit_code == 0, result.output
    assert "12 frames, flicker" in result.output and "(frame by frame" in result.output
    with open_video(output) as container:
        assert container.streams.video[0].frames == 12
    for name, words in ((output, "exists; --overwrite replaces it"), (source, "is an input")):
        result = CliRunner().invoke(app, ["inpaint-video", str(source), str(mask), "-o", str(name)])
        assert result.exit_code == 1
        assert words in result.output
    for video in ("", str(tmp_path / "none.mp4")):
        result = CliRunner().invoke(app, ["inpaint-video", video, str(mask)])
        assert (result.exit_code, "no such file" in result.output) == (1, True)
    assert CliRunner().invoke(app, ["inpaint-video", str(source), str(mask)]).exit_code == 0
    assert (tmp_path / "in_filled.mp4").exists()
    assert (
        CliRunner().invoke(app, ["inpaint-video", str(source), str(mask), "-o", str(output), "--overwrite"]).exit_code == 0
    )
