"""Anybody's pictures, in a folder or an archive."""

from __future__ import annotations

import unicodedata
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path, PurePosixPath

from pennet.data.pictures.picture_files import SUFFIXES
from pennet.data.sets.spec import Place, Source, archive_source, is_picture, listing, of_ones_own
from pennet.data.sources.search import Found, a_few, masks_beside, shown
from pennet.errors import UserError

SPLIT_OF_WORD = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "dev", "eval"), "val"),
    **dict.fromkeys(("test", "testing"), "test"),
}
"""How people name the folders and files of a split."""


def are_splits(found: Collection[str | None]) -> bool:
    """Whether what was found for every part of a data set, of `SPLIT_OF_WORD`'s values or None, divides it.

    All of it has to be named after splits, some of it after training, and some of it not.
    """
    return None not in found and "train" in found and len(set(found)) > 1


def places_of(names: Iterable[str]) -> dict[str, Place]:
    """A picture's key is its whole path; those in one subfolder are taken for a group, such as a scene, and stay together.

    A group is called without the folders that all pictures share: a folder is divided as the archive of it is, which has the
    folder's name on top.

    Raises:
        UserError: some pictures lie in folders named after training and another split, others beside these: it names the
            others.

    Folders that all pictures share say nothing, and are passed over. If what comes next is named after splits everywhere,
    it is a split, and the pictures in it are no group. Masks beside pictures, NAME_mask.png and NAME.png, are no pictures.
    """
    pictures = [PurePosixPath(name) for name in names if is_picture(name)]
    masks = masks_beside(pictures)
    names = [str(path) for path in pictures if path not in masks]
    folders = {name: name.split("/")[:-1] for name in names}
    shared = _num_shared(list(folders.values()))
    splits = {name: SPLIT_OF_WORD.get(parts[shared].lower()) if parts[shared:] else None for name, parts in folders.items()}
    has_splits = are_splits(splits.values())
    if not has_splits and are_splits(set(splits.values()) - {None}):
        strays = [name for name, split in splits.items() if split is None]
        where = "lie outside of the folders that are named after splits"
        raise UserError(f"{len(strays):,} pictures {where}: {a_few(strays)}; move or remove them, or rename the folders")
    places = {}
    for name in names:
        key = unicodedata.normalize("NFC", name)  # macOS writes the same name in other code points
        own = key.split("/")[shared:]
        group = "/".join(own[:-1] if len(own) > 1 + has_splits else own)
        places[name] = Place(key, group, splits[name] if has_splits else None)
    return places


def read(paths: Sequence[Path]) -> Source:
    others: list[str] = []
    members = listing(paths, others)
    places = places_of(members)
    masks = [Path(name) for name in members if is_picture(name) and name not in places]
    no_pictures = [Path(name) for name in [*members, *others] if not is_picture(name)]
    left_out = Found(masks=sorted(masks), others=sorted(no_pictures)).left_out()
    if not places:
        where, remedy = ", ".join(map(shown, paths)), f"give a folder or archive of photos ({', '.join(SUFFIXES)})"
        raise UserError(f"{where}: holds no picture; left out: {left_out or 'nothing'}; {remedy}")
    own_split = "the folders' own" if any(place.split for place in places.values()) else ""
    return archive_source(members, places, own_split, left_out=left_out)


def _num_shared(folders: Sequence[Sequence[str]]) -> int:
    """How many leading folders all have in common."""
    shortest = min(folders, key=len, default=())
    return next((i for i, part in enumerate(shortest) if any(other[i] != part for other in folders)), len(shortest))


FOLDER = of_ones_own(
    "folder",
    "Your own pictures",
    holds="The pictures of a folder with its subfolders, or of a zip or tar archive.",
    split_origin="folders named train, val and test if all pictures lie in such; otherwise a share of the groups, by a seed",
    read=read,
    traps=(
        "Pictures of one subfolder are a group, which is never split: one large subfolder makes uneven splits.",
        "Hidden files, those of other types than pictures, and masks (NAME_mask.png beside NAME.png) are left out.",
    ),
)
