"""Which photo is filled with which mask, and where the result goes: decided for all of them before any work is done."""

from __future__ import annotations

import glob
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from pennet.commands.new_files import check_new, same_file
from pennet.data.pictures.picture_files import SUFFIXES
from pennet.data.sources.search import a_few, find_pictures, in_one_line, masks_beside, shown, without_mask
from pennet.errors import UserError
from pennet.photos.reading import check_file

ALPHA = "alpha"
"""In the place of a mask: the photo's transparent area is the hole."""
RESULT = "_filled"
"""Ends the name of a result, which is no photo to be filled when it lies beside one."""


@dataclass(frozen=True)
class Job:
    """One photo to fill."""

    photo: Path
    mask: Path | None
    """None: the photo's own alpha channel."""
    output: Path
    error: str = ""
    """Why it cannot be done; empty if nothing is known against it."""


class Jobs(NamedTuple):
    """All photos of a command."""

    jobs: list[Job]
    words: list[str]
    """What was left out of folders, each a sentence."""


class _File(NamedTuple):
    path: Path
    below: Path
    """Relative to the folder, or to the part of the glob without wildcards, that it was found in."""


def find_jobs(images: Sequence[str], mask: str, output: str | None = None, overwrite: bool = False) -> Jobs:
    """Pairs photos with masks, and names the results.

    Args:
        images: files, folders (with subfolders) or globs.
        mask: a file, for all; a folder or glob, one each, NAME or NAME_mask of any type for the photo NAME; or `alpha`.
        output: a folder, or for one photo also a file. None: beside the photo. Results are called NAME_filled.
        overwrite: whether results that are there are replaced. Inputs never are.

    Raises:
        UserError: nothing to fill, no such mask, or one file for several results.
    """
    for name in (*images, mask, *([] if output is None else [output])):
        if name in ("", "-"):  # a variable of the shell that is empty would be this folder, with all that lies in it
            raise UserError(f"{name!r}: names no file; give names of photos, of a mask, and after -o of a result or folder")
    photos, words = _files(images, "photo")
    photos, results = _told_apart(photos, mask)
    if results:
        words.append(f"left out, because they are results of an earlier time: {a_few(map(shown, sorted(results)))}")
    if not photos:
        raise UserError(
            f"{in_one_line(', '.join(images))}: no photos ({', '.join(SUFFIXES)}){'; ' * bool(words)}{'; '.join(words)}"
        )
    folder = _output_folder(output, len(photos))
    found: list[Job] = []
    masks = None
    if mask != ALPHA and not Path(mask).is_file():
        masks, left = _Masks.find(mask, {file.path for file in photos} | results)
        words += left
    for photo in photos:
        own, error = None if mask == ALPHA else Path(mask), ""
        if masks:
            own, error = masks.of(photo)
        name = f"{photo.path.stem}{RESULT}{photo.path.suffix}"
        beside = photo.path.with_name(name) if folder is None else folder / photo.below.parent / name
        target = beside if output is None or folder is not None else Path(output)
        if not photo.path.is_file():
            error = _why_no_file(photo.path)
        found.append(Job(photo.path, own, target, error))
    if masks and (idle := masks.unused({job.mask for job in found})):
        words.append(f"masks without a photo: {a_few(map(shown, idle))}")
    return Jobs(list(_checked(found, overwrite)), words)


def _why_no_file(path: Path) -> str:
    try:
        check_file(path)
    except UserError as error:
        return str(error)
    return f"{shown(path)}: no such file, folder or glob"


def _files(patterns: Iterable[str], what: str) -> tuple[list[_File], list[str]]:
    """The files of paths, folders and globs, each once, with what was left out of folders."""
    files: dict[Path, _File] = {}
    words = []
    for pattern in patterns:
        path = Path(pattern)
        if path.is_dir():
            found = find_pictures(path)
            listed = sorted([*found.pictures, *found.masks])
            if what == "photo" and (left := replace(found, masks=[]).left_out()):
                words.append(f"{shown(path)}: left out: {left}")
            root = path
        elif path.is_file() or not glob.has_magic(pattern):
            listed, root = [path], path.parent
        else:
            root = _fixed_part(path)
            matches = sorted(root.glob(path.relative_to(root).as_posix()))
            listed = [match for match in matches if match.is_file() and not _is_hidden(match.relative_to(root))]
            if not listed:
                raise UserError(f"{in_one_line(pattern)}: no file matches")
        files.update({path: _File(path, path.relative_to(root)) for path in listed if path not in files})
    return list(files.values()), words


def _fixed_part(pattern: Path) -> Path:
    """The folders of a glob before its first wildcard."""
    parts = []
    for part in pattern.parts[:-1]:
        if glob.has_magic(part):
            break
        parts.append(part)
    return Path(*parts)


def _is_hidden(path: Path) -> bool:
    """Such as the `._20.jpg` that macOS writes beside `20.jpg`."""
    return any(part.startswith(".") for part in path.parts)


def _told_apart(files: list[_File], mask: str) -> tuple[list[_File], set[Path]]:
    """Of several files the photos, and the results of an earlier time; a single file is always a photo."""
    if len(files) == 1:
        return files, set()
    paths = [file.path for file in files]
    names = {(path.parent, path.stem) for path in paths}
    named_so = [path for path in paths if path.stem.endswith(RESULT)]
    results = {path for path in named_so if (path.parent, path.stem.removesuffix(RESULT)) in names}
    masks = masks_beside(paths)
    own = same_file(Path(mask))
    if Path(mask).is_dir():  # one folder of both: NAME_mask without a NAME is no photo either
        with_mask = {(path.parent, name) for path, name in masks.items()}
        alone = [path for path in paths if _is_mask(path.stem) and (path.parent, path.stem) not in with_mask]
        folders = {folder: same_file(folder) for path in alone for folder in path.parents}
        lone = [path for path in alone if own in (folders[folder] for folder in path.parents)]
        masks.update(dict.fromkeys(lone, ""))
    others = results.union(masks)
    return [file for file in files if file.path not in others and same_file(file.path) != own], results


def _is_mask(name: str) -> bool:
    """`NAME_mask` or `NAME_mask001`."""
    return without_mask(name) != name


def _output_folder(output: str | None, num_photos: int) -> Path | None:
    """The folder of the results, if there is one for all; a name without suffix is that of a folder."""
    if output is None:
        return None
    path = Path(output)
    if path.is_dir() or output.endswith(("/", "\\")):
        return path
    if num_photos == 1 and path.suffix:
        return None
    if path.suffix.lower() in SUFFIXES:
        raise UserError(f"{in_one_line(output)}: one file for {num_photos} results; name a folder")
    if path.exists():
        name = in_one_line(output)
        raise UserError(f"{name}: is a file; name a folder, or for one photo a file with a suffix, such as {name}.png")
    return path


class _Masks:
    """Masks by the names of their photos."""

    def __init__(self, name: str, files: list[_File], of_photos: set[object]):
        """With the folders that the photos lie in: there only what is called NAME_mask is known to be a mask."""
        self._name = name
        self._files = files
        self._of_photos = of_photos
        self._by_place: dict[str, list[Path]] = {}
        self._by_name: dict[str, list[Path]] = {}
        for file in files:
            stem = file.below.stem
            for key in dict.fromkeys([stem, without_mask(stem)]):
                self._by_place.setdefault(file.below.with_name(key).as_posix(), []).append(file.path)
                self._by_name.setdefault(key, []).append(file.path)

    @classmethod
    def find(cls, mask: str, photos: set[Path]) -> tuple[_Masks, list[str]]:
        """A photo is nobody's mask: photos and masks may lie in one folder, whatever it is called."""
        if not Path(mask).is_dir() and not glob.has_magic(mask):
            check_file(Path(mask))
            what = f"a file, a folder, a glob or `{ALPHA}` (a result is named with -o)"
            raise UserError(f"{in_one_line(mask)}: no such mask; {what}")
        files, words = _files([mask], "mask")
        own = {same_file(path) for path in photos}
        folders = {same_file(path.parent) for path in photos}
        masks = [file for file in files if same_file(file.path) not in own]
        return cls(mask, masks, folders), words

    def of(self, photo: _File) -> tuple[Path | None, str]:
        """The mask of a photo, or why there is none: of the same place below the folder, else of the same name."""
        place, name = photo.below.with_suffix("").as_posix(), photo.path.stem
        found = self._by_place.get(place) or self._by_name.get(name) or []
        if not found:
            wanted = in_one_line(f"{name}.png or {name}_mask.png")
            return None, f"{shown(photo.path)}: no mask {wanted} in {in_one_line(self._name)}"
        if len(found) > 1:
            return None, f"{shown(photo.path)}: {a_few(map(shown, found))} are all its masks; keep one"
        return found[0], ""

    def unused(self, used: set[Path | None]) -> list[Path]:
        """Masks that no photo has. A picture that has a mask beside it is a photo, which was not asked for."""
        paths = [file.path for file in self._files]
        with_mask = {(mask.parent, name) for mask, name in masks_beside(paths).items()}
        return [
            path
            for path in paths
            if path not in used
            and (path.parent, path.stem) not in with_mask
            and (_is_mask(path.stem) or same_file(path.parent) not in self._of_photos)
        ]


def _checked(jobs: list[Job], overwrite: bool) -> Iterable[Job]:
    """With an error where a result would replace an input, another result, or what is there."""
    inputs = [path for job in jobs for path in (job.photo, job.mask) if path]
    of_inputs = {same_file(path): path for path in inputs}
    taken: dict[object, Job] = {}
    for job in jobs:
        if job.error:
            yield job
            continue
        file = same_file(job.output)
        if other := taken.get(file):
            both = f"{shown(other.photo)} and of {shown(job.photo)}"
            yield replace(job, error=f"{shown(job.output)}: would be the result of {both}; fill one by itself")
            continue
        taken[file] = job
        try:
            check_new(job.output, [of_inputs[file]] if file in of_inputs else [], overwrite)
        except UserError as error:
            job = replace(job, error=str(error))
        yield job
