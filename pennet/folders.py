"""Two folders of pictures (and one of masks) as pairs to score, matched by path without suffix."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import numpy as np

from pennet.data.pictures.picture_files import SUFFIXES, read_rgb, size_px
from pennet.data.sources.search import a_few, find_pictures, without_mask
from pennet.errors import UserError, all_at_once
from pennet.images import Picture
from pennet.mask_sets.files import read_black_and_white
from pennet.metrics.pairs import Pairs


def pair_folders(real: Path, fake: Path, masks: Path | None) -> Pairs:
    """Matches the pictures of the folders by name and checks their sizes; pixels are read later, when needed.

    Names are paths below the folder, without suffix: pictures of the same name in two subfolders are two pictures. The mask
    of NAME may be called NAME_mask, and lie beside it, as LaMa has them. With masks the results are composited: what is
    scored has the truth's pixels wherever the mask is black, and `composited` of the pairs says which pictures that changed.

    Args:
        real: ground truth.
        fake: what was made.
        masks: holes white (brighter than mid-grey) on black; None if there are none.

    Raises:
        UserError: no such folder, no pictures, names without a partner, a result or mask of another size than its truth, or
        truths of different sizes.
    """
    folders = {"real": real, "fake": fake} | ({} if masks is None else {"masks": masks})
    files = {
        label: _pictures(folder, [f for f in folders.values() if f != folder], label == "masks")
        for label, folder in folders.items()
    }
    names = sorted(files["real"])
    if masks is not None:
        files["masks"] = _by_picture(masks, files["masks"], set(names))
    for label, folder in folders.items():
        _check_names(real, set(names), folder, set(files[label]))
    _check_sizes(names, files)
    if masks is None:
        return Pairs(
            names, lambda i: read_rgb(files["fake"][names[i]]), lambda i: read_rgb(files["real"][names[i]]), mask=None
        )

    composited: set[int] = set()

    def composite(i: int) -> Picture:
        made, truth = (read_rgb(files[label][names[i]]) for label in ("fake", "real"))
        known = read_black_and_white(files["masks"][names[i]])[..., None] == 0
        if np.any((made != truth) & known):
            composited.add(i)
        return np.where(known, truth, made)

    return Pairs(
        names,
        fake=composite,
        real=lambda i: read_rgb(files["real"][names[i]]),
        mask=lambda i: read_black_and_white(files["masks"][names[i]]),
        composited=composited,
    )


def _check_sizes(names: list[str], files: dict[str, dict[str, Path]]) -> None:
    sizes: dict[str, dict[str, tuple[int, int]]] = {label: {} for label in files}
    problems = []
    for label, by_name in files.items():
        for name, path in by_name.items():
            try:
                sizes[label][name] = size_px(path)
            except UserError as error:
                problems.append(str(error))
    if problems:
        raise UserError(all_at_once(problems, "pictures cannot be read"))
    real = sizes["real"]
    odd = [(files[label][name], size, name) for label in sizes for name, size in sizes[label].items() if size != real[name]]
    if odd:
        text = a_few(f"{path} ({w}x{h})" for path, (w, h), _ in odd)
        name = odd[0][2]
        truth = f"{files['real'][name]} ({'x'.join(map(str, real[name]))})"
        raise UserError(f"a result and a mask must have the size of their truth, here {truth}; resize {text}")
    others = [f"{files['real'][name]} ({w}x{h})" for name, (w, h) in real.items() if (w, h) != real[names[0]]]
    if others:
        first = f"{files['real'][names[0]]} ({'x'.join(map(str, real[names[0]]))})"
        text = f"all pictures must have one size, that of {first}; evaluate other sizes by themselves: {a_few(others)}"
        raise UserError(text)


def _pictures(folder: Path, others: list[Path], masks: bool) -> dict[str, Path]:
    """By name, with subfolders; not what lies in one of the other folders, if that is a subfolder of this one.

    Of a folder with masks beside pictures, either.
    """
    found = find_pictures(folder, without=others)
    pictures = found.masks if masks and found.masks else found.pictures
    if not pictures:
        left = f"; left out: {found.left_out()}" if found.left_out() else ""
        raise UserError(f"{folder}: no pictures ({', '.join(SUFFIXES)}) in this folder{left}")
    by_name = {_name(path, folder): path for path in pictures}
    doubles = [str(path.relative_to(folder)) for path in pictures if by_name[_name(path, folder)] != path]
    if doubles:
        raise UserError(f"{folder}: pictures that differ only in their suffix: {a_few(doubles)}; keep one of each")
    return by_name


def _by_picture(folder: Path, masks: dict[str, Path], names: set[str]) -> dict[str, Path]:
    """Masks by the names of their pictures."""
    found: dict[str, Path] = {}
    for name, path in masks.items():
        picture = name if name in names else without_mask(name)
        other = found.setdefault(picture, path)
        if other != path:
            both = f"{other.relative_to(folder)} and {path.relative_to(folder)}"
            raise UserError(f"{folder}: {both} are both masks of {picture}; keep one of each")
    return found


def _name(path: Path, folder: Path) -> str:
    name = path.relative_to(folder).with_suffix("").as_posix()
    return unicodedata.normalize("NFC", name)  # macOS writes the same name in other code points


def _check_names(real: Path, expected: set[str], folder: Path, found: set[str]) -> None:
    missing, extra = sorted(expected - found), sorted(found - expected)
    if missing or extra:
        parts = [f"{folder} lacks {len(missing)} of them: {a_few(missing)}"] * bool(missing)
        parts += [f"{folder} has {len(extra)} that {real} lacks: {a_few(extra)}"] * bool(extra)
        counts = f"{len(expected)} pictures against {len(found)}"
        raise UserError(f"file names without suffix must match {real} ({counts}): {'; '.join(parts)}")
