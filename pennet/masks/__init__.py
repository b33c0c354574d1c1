"""The kinds of masks that there are, for training, for the test and for the command line; one file a kind."""

from __future__ import annotations

import pkgutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pennet.errors import UserError

if TYPE_CHECKING:
    from pennet.masks.mask import DrawMask, Mask


@dataclass(frozen=True)
class MaskKind:
    """A kind of mask; its functions are named `module:function` and loaded when they are asked for."""

    name: str
    draw: str
    """(random generator, height, width) -> mask."""
    in_turn: str = ""
    """(random generator, height, width, index) -> mask number `index` of a test set, where that matters."""


KINDS = (
    MaskKind("centre", draw="pennet.masks.centre:centre_square"),
    MaskKind("rotated_square", draw="pennet.masks.rotated_square:rotated_square"),
    MaskKind("random_square", draw="pennet.masks.random_square:random_square"),
    MaskKind("jittered_box", draw="pennet.masks.jittered_box:jittered_box"),
    MaskKind("free_form", draw="pennet.masks.free_form:free_form"),
    MaskKind("box_and_free_form", draw="pennet.masks.box_and_free_form:box_and_free_form"),
    MaskKind("irregular", draw="pennet.masks.irregular:irregular", in_turn="pennet.masks.irregular:irregular_in_turn"),
    MaskKind("many_sizes", draw="pennet.masks.many_sizes:many_sizes"),
    MaskKind("lama_thin", draw="pennet.masks.lama:lama_thin"),
    MaskKind("lama_medium", draw="pennet.masks.lama:lama_medium"),
    MaskKind("lama_thick", draw="pennet.masks.lama:lama_thick"),
    MaskKind("objects", draw="pennet.masks.objects:objects"),
    MaskKind("outpainting", draw="pennet.masks.outpainting:outpainting"),
)


def mask_kind(name: str) -> MaskKind:
    """The kind of that name.

    Raises:
        UserError: there is none; lists those there are.
    """
    for kind in KINDS:
        if kind.name == name:
            return kind
    raise UserError(f"unknown kind of mask {name!r}; known are {', '.join(kind.name for kind in KINDS)}")


def mask_function(name: str) -> DrawMask:
    """What draws masks of a kind: (random generator, height, width) -> uint8 (H, W), 1 = hole.

    Raises:
        UserError: see `mask_kind`.
    """
    return pkgutil.resolve_name(mask_kind(name).draw)


def numbered_mask(name: str, seed: int, index: int, height: int, width: int) -> Mask:
    """Mask number `index` of a test set; it depends on no other.

    Args:
        name: of the kind.
        seed: of the test set.
        index: which picture.
        height, width: of the picture.

    Raises:
        UserError: see `mask_kind`; or a kind that has no mask of this size.
    """
    import numpy as np

    kind, rng = mask_kind(name), np.random.default_rng([seed, index])
    if kind.in_turn:
        return pkgutil.resolve_name(kind.in_turn)(rng, height, width, index)
    return pkgutil.resolve_name(kind.draw)(rng, height, width)
