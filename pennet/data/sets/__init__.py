"""The data sets that there are: those of the paper, the one that comes with the project, and people's own.

An entry says what its data set is and reads its archives; cards, splits and commands follow from it.
"""

from __future__ import annotations

import pkgutil
from typing import TYPE_CHECKING

from pennet.errors import UserError, nearest

if TYPE_CHECKING:
    from pennet.data.sets.spec import DataSet

DATA_SETS = {
    "terrain": "pennet.data.sets.terrain:TERRAIN",
    "facade": "pennet.data.sets.facade:FACADE",
    "dtd": "pennet.data.sets.dtd:DTD",
    "celebahq": "pennet.data.sets.celebahq:CELEBAHQ",
    "places2": "pennet.data.sets.places2:PLACES2",
    "folder": "pennet.data.sets.folder:FOLDER",
    "packed": "pennet.data.sets.packed:PACKED",
    "hub": "pennet.data.sets.hub:HUB",
}
"""By name, as `module:entry`: an entry is loaded when it is asked for, the names cost nothing."""


def data_sets() -> dict[str, DataSet]:
    """All of them, by name."""
    return {name: find(name) for name in DATA_SETS}


def find(name: str) -> DataSet:
    """The data set of a name.

    Raises:
        UserError: there is none; names those that there are.
    """
    if name not in DATA_SETS:
        raise UserError(f"data set {name!r} is not known; known are {', '.join(DATA_SETS)}{nearest(name, DATA_SETS)}")
    data_set: DataSet = pkgutil.resolve_name(DATA_SETS[name])
    return data_set
