"""Two folders of pictures (and one of masks) as pairs to score, matched by file name without suffix."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from pennet.data.images import read_mask, read_rgb
from pennet.metrics.scoring import Pairs

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp")
_SHOWN = 3


def pair_folders(real: Path, fake: Path, masks: Path | None) -> Pairs:
    """Matches the pictures of the folders by name and checks their sizes; pixels are read later, when needed.

    Args:
        real: ground truth.
        fake: what was made.
        masks: holes white (brighter than mid-grey) on black; None if there are none.

    Raises:
        ValueError: no such folder, no pictures, names without a partner, or pictures of another size than
        the first.
    """
    folders = {"real": _pictures(real), "fake": _pictures(fake)}
    if masks is not None:
        folders["masks"] = _pictures(masks)
    names = sorted(folders["real"])
    for label, files in folders.items():
        _check_names(real, set(names), {"fake": fake, "masks": masks}.get(label) or real, set(files))
    paths = [files[name] for files in folders.values() for name in names]
    sizes = [_size_px(path) for path in paths]
    odd = [f"{path} ({w}x{h})" for path, (w, h) in zip(paths, sizes, strict=True) if (w, h) != sizes[0]]
    if odd:
        size = "x".join(map(str, sizes[0]))
        raise ValueError(f"all pictures must have the size of {paths[0]} ({size}); resize {_first(odd)}")
    return Pairs(
        names,
        fake=lambda i: read_rgb(folders["fake"][names[i]]),
        real=lambda i: read_rgb(folders["real"][names[i]]),
        mask=None if masks is None else lambda i: read_mask(folders["masks"][names[i]]),
    )


def _pictures(folder: Path) -> dict[str, Path]:
    if not folder.is_dir():
        raise ValueError(f"{folder}: no such folder")
    files = sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES)
    if not files:
        raise ValueError(f"{folder}: no pictures ({', '.join(SUFFIXES)}) in this folder")
    by_name = {path.stem: path for path in files}
    doubles = [str(path.name) for path in files if by_name[path.stem] != path]
    if doubles:
        raise ValueError(f"{folder}: pictures that differ only in their suffix: {_first(doubles)}; keep one of each")
    return by_name


def _check_names(real: Path, expected: set[str], folder: Path, found: set[str]) -> None:
    missing, extra = sorted(expected - found), sorted(found - expected)
    if missing or extra:
        parts = [f"{folder} lacks {len(missing)} of them: {_first(missing)}"] * bool(missing)
        parts += [f"{folder} has {len(extra)} that {real} lacks: {_first(extra)}"] * bool(extra)
        counts = f"{len(expected)} pictures against {len(found)}"
        raise ValueError(f"file names without suffix must match {real} ({counts}): {'; '.join(parts)}")


def _size_px(path: Path) -> tuple[int, int]:
    try:
        with Image.open(path) as image:
            return image.size
    except (UnidentifiedImageError, OSError) as error:
        raise ValueError(f"{path}: cannot be read as a picture ({error}); repair or remove it") from error


def _first(items: Iterable[str]) -> str:
    items = list(items)
    return ", ".join(items[:_SHOWN]) + (f" and {len(items) - _SHOWN} more" if len(items) > _SHOWN else "")
