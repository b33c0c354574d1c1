"""`pennet mask`: draws masks of the kinds that methods are tested with, and makes masks for photos."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pennet.commands.ending import fail
from pennet.commands.new_files import check_new, check_png
from pennet.errors import UserError
from pennet.masks import KINDS

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

DEFAULT_SIDE_PX = 256
FOR_PHOTOS = "For a photo"
DRAWN = "As methods are trained and tested with (docs/masks.md)"

app = typer.Typer(help="Make a mask: white = hole.", no_args_is_help=True)

Output = Annotated[Path, typer.Argument(metavar="OUT", help="Where the mask goes (PNG); white = hole.")]
Height = Annotated[int | None, typer.Option(min=1, help=f"Pixels \\[default: {DEFAULT_SIDE_PX}].", show_default=False)]
Width = Annotated[int | None, typer.Option(min=1, help=f"Pixels \\[default: {DEFAULT_SIDE_PX}].", show_default=False)]
Like = Annotated[Path | None, typer.Option(help="A photo whose size the mask gets, instead of height and width.")]
From = Annotated[Path, typer.Option("--from", help="The picture to make the mask of.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace a mask that is there.")]


@app.command(rich_help_panel=FOR_PHOTOS)
def rectangle(
    output: Output,
    box: Annotated[
        list[str],
        typer.Option(metavar="LEFT,TOP,WIDTH,HEIGHT", help="Pixels from the photo's top left corner; may be repeated."),
    ],
    like: Like = None,
    height: Height = None,
    width: Width = None,
    overwrite: Overwrite = False,
) -> None:
    """Rectangles by their places."""

    boxes = {text: _numbers(text) for text in box}

    def draw() -> NDArray[np.uint8]:
        import numpy as np

        mask = np.zeros(_size(like, height, width), np.uint8)
        for text, (left, top, box_width, box_height) in boxes.items():
            inside = mask[max(top, 0) : max(top + box_height, 0), max(left, 0) : max(left + box_width, 0)]
            if not inside.size:
                raise UserError(f"--box {text}: lies outside of the {mask.shape[1]} x {mask.shape[0]} px of the mask")
            inside[:] = 1
        return mask

    _make(output, [like] if like else [], overwrite, draw)


@app.command(rich_help_panel=FOR_PHOTOS)
def colour(
    output: Output,
    source: From,
    colour: Annotated[str, typer.Option(metavar="#RRGGBB", help="What the hole is painted with; quote it: '#ff0000'.")],
    tolerance: Annotated[
        int, typer.Option(min=0, max=255, help="How far each of red, green and blue may be off, as in a JPEG.")
    ] = 30,
    overwrite: Overwrite = False,
) -> None:
    """What is painted in one colour on a copy of the photo."""

    wanted = _rgb(colour)

    def draw() -> NDArray[np.uint8]:
        import numpy as np

        from pennet.data.sources.search import shown
        from pennet.photos.photo import eight_bits
        from pennet.photos.reading import read_photo

        pixels = eight_bits(read_photo(source).pixels)
        off = np.abs(pixels.astype(np.int16) - np.array(wanted, np.int16)).max(axis=2)
        mask = (off <= tolerance).astype(np.uint8)
        if not mask.any():
            nearest = "#{:02x}{:02x}{:02x}".format(*pixels.reshape(-1, 3)[off.argmin()])
            within = f"within {tolerance} of {colour}; the nearest is {nearest}, {off.min()} off"
            raise UserError(f"{shown(source)}: no pixel {within}: --colour '{nearest}', or another --tolerance")
        return mask

    _make(output, [source], overwrite, draw)


@app.command(rich_help_panel=FOR_PHOTOS)
def alpha(
    output: Output,
    source: From,
    invert: Annotated[
        bool, typer.Option("--invert", help="What is transparent is the hole, as where something was erased from a photo.")
    ] = False,
    overwrite: Overwrite = False,
) -> None:
    """What is painted on a transparent layer (or with --invert: what is transparent)."""

    def draw() -> NDArray[np.uint8]:
        import numpy as np

        from pennet.data.sources.search import shown
        from pennet.photos.reading import read_photo

        opacity = read_photo(source).alpha
        if opacity is None:
            raise UserError(f"{shown(source)}: has no transparency; make the mask of its colours: pennet mask colour")
        return ((opacity > np.iinfo(opacity.dtype).max // 2) != invert).astype(np.uint8)

    _make(output, [source], overwrite, draw)


_KINDS = {
    "centre": "The rectangle of half of each side in the middle.",
    "rotated_square": "A square, turned, anywhere.",
    "random_square": "A square anywhere.",
    "jittered_box": "Nearly half of each side, anywhere.",
    "free_form": "Strokes of a brush.",
    "box_and_free_form": "A box and strokes together.",
    "irregular": "Strokes and spots, 1 to 60 % of the picture.",
    "many_sizes": "Holes from small to large.",
    "lama_thin": "LaMa's thin strokes.",
    "lama_medium": "LaMa's medium strokes and boxes.",
    "lama_thick": "LaMa's thick strokes and boxes.",
    "objects": "Outlines as of things and people.",
    "outpainting": "A border all around, or on some sides.",
}


def _of_kind(kind: str) -> Callable[..., None]:
    def draw_kind(
        output: Output,
        height: Height = None,
        width: Width = None,
        like: Like = None,
        seed: Annotated[int, typer.Option(min=0, help="Another one, another mask, where it is drawn at random.")] = 0,
        overwrite: Overwrite = False,
    ) -> None:
        def draw() -> NDArray[np.uint8]:
            import numpy as np

            from pennet.masks import mask_function

            return mask_function(kind)(np.random.default_rng(seed), *_size(like, height, width))

        _make(output, [like] if like else [], overwrite, draw)

    draw_kind.__doc__ = _KINDS.get(kind, f"A mask of the kind {kind}.")
    return draw_kind


for _kind in KINDS:
    app.command(_kind.name, rich_help_panel=DRAWN)(_of_kind(_kind.name))


def _make(output: Path, inputs: list[Path], overwrite: bool, draw: Callable[[], NDArray[np.uint8]]) -> None:
    """Draws and writes a mask, and says how much of it is hole."""
    try:
        check_png(output)
        check_new(output, inputs, overwrite)
        mask = draw()
        import numpy as np

        from pennet.data.pictures.picture_files import save_png
        from pennet.data.sources.search import shown

        if not mask.any() or mask.all():
            raise UserError(
                f"{shown(output)}: would be nothing but {'hole' if mask.all() else 'known pixels'}; nothing is written"
            )
        save_png(output, np.repeat(255 * mask[..., None], 3, axis=2))
    except (UserError, OSError) as error:
        fail(error)
    height, width = mask.shape
    typer.echo(f"{shown(output)}: {width} x {height} px, a hole of {100 * mask.mean():.2g} %")


def _size(like: Path | None, height: int | None, width: int | None) -> tuple[int, int]:
    """Height and width, in pixels."""
    if like is None:
        from pennet.photos.stored import check_size

        height, width = height or DEFAULT_SIDE_PX, width or DEFAULT_SIDE_PX
        check_size((width, height), "--height and --width")
        return height, width
    if height or width:
        raise typer.BadParameter("--like gives the size; leave --height and --width out.")
    from pennet.data.pictures.picture_files import size_px

    width, height = size_px(like)
    return height, width


def _numbers(box: str) -> tuple[int, int, int, int]:
    try:
        left, top, width, height = map(int, box.split(","))
    except ValueError:
        raise typer.BadParameter(f"--box {box}: expected four numbers LEFT,TOP,WIDTH,HEIGHT.") from None
    if width < 1 or height < 1:
        raise typer.BadParameter(f"--box {box}: width and height must be 1 or more.")
    return left, top, width, height


def _rgb(colour: str) -> tuple[int, int, int]:
    digits = colour.removeprefix("#")
    try:
        if len(digits) != 6:
            raise ValueError
        red, green, blue = bytes.fromhex(digits)
    except ValueError:
        raise typer.BadParameter(f"--colour {colour}: expected #RRGGBB, as '#ff0000' for red.") from None
    return red, green, blue
