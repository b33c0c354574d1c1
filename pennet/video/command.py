"""`pennet inpaint-video`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pennet.commands.ending import fail
from pennet.commands.new_files import check_new
from pennet.errors import UserError
from pennet.extras import require


def inpaint_video(
    video: Annotated[Path, typer.Argument(help="What FFmpeg reads: MP4, MOV, MKV, WebM, ...")],
    mask: Annotated[
        Path,
        typer.Argument(help="White = hole: a picture for all frames, or a folder of pictures or a video, one for each."),
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", help="The result; its ending chooses the container \\[default: NAME_filled.SUFFIX beside it]."
        ),
    ] = None,
    model: Annotated[str, typer.Option(help="As of `pennet inpaint`.")] = "default",
    smooth: Annotated[
        bool, typer.Option("--smooth/--per-frame", help="Calm holes by the frame before, or fill each frame by itself.")
    ] = True,
    sharpness: Annotated[float | None, typer.Option(help="As of `pennet inpaint` \\[default: the model's own].")] = None,
    overwrite: Annotated[bool, typer.Option(help="Replace a result that is there.")] = False,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")] = "auto",
) -> None:
    """Fill the hole of every frame of a video; sound and subtitles stay as they are, and the flicker is printed."""
    try:
        require("video", "av")
        from pennet.video.reading import open_video

        with open_video(video) as source:
            total = source.streams.video[0].frames or None
        output = output or video.with_stem(f"{video.stem}_filled")
        check_new(output, (video, mask), overwrite)
        from tqdm import tqdm

        from pennet.inpainter import Inpainter
        from pennet.video.attention_memory import AttentionMemory, remembers
        from pennet.video.filling import fill_video

        inpainter = Inpainter(model, device)
        with tqdm(total=total, unit="frame") as bar:
            report = fill_video(
                video,
                mask,
                output,
                lambda frame, hole: inpainter.fill(frame, hole, sharpness=sharpness).image,  # type: ignore[arg-type,return-value]
                smooth,
                lambda done: bar.update(done - bar.n) and None,
                AttentionMemory(inpainter, sharpness) if remembers(inpainter) else None,
            )
    except (UserError, OSError) as error:
        fail(error)
    if smooth and not remembers(inpainter):
        typer.echo(f"{model}: has no attention that remembers, so that frames are averaged instead.", err=True)
    for words in report.words:
        typer.echo(words, err=True)
    typer.echo(f"{output}: {report.frames} frames{flicker_words(report.flicker, report.plain_flicker, smooth)}")


def flicker_words(flicker: float | None, plain: float | None, smooth: bool) -> str:
    """What the flicker was: change in the hole from frame to frame beyond that of its surroundings, of 255."""
    if flicker is None or plain is None:
        return ""
    return f", flicker {flicker:+.2f} of 255" + (f" (frame by frame {plain:+.2f})" if smooth else "")
